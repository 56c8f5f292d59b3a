"""How a task's answer is read off the frozen model: one readout a file, and the rule that chooses among them."""
