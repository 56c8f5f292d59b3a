"""A job from beginning to end: a pack of trials is trained to a step, scored and stored."""
