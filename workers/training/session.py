"""What the jobs of one study share in a worker process."""

from dataclasses import dataclass

from ...spaces.identity import Identity
from ..model.backbone import Backbone
from ..model.readouts.encoding import Encoded
from ..tasks import Task
from .store import AdapterStore
from .trainer import Trainer


@dataclass(frozen=True)
class Session:
    """What a worker process keeps between jobs."""

    backbone: Backbone
    task: Task
    trainer: Trainer
    store: AdapterStore
    splits: dict[str, Encoded]
    identity: Identity
