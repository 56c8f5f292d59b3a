"""Parts that other distributions bring, by entry points of these groups; one is imported only when its name is asked for."""

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points

from .errors import WrongInput, reason

METHODS, TASKS, SCORERS = "ulpt_search.methods", "ulpt_search.tasks", "ulpt_search.scorers"


def names(group: str) -> tuple[str, ...]:
    """Return the names of a group's parts, sorted, whether they can be loaded or not."""
    return tuple(sorted({entry.name for entry in entry_points(group=group)}))


def load(group: str, name: str) -> object | None:
    """Return a part, None where nobody brings it; `WrongInput` names the distribution of one that cannot be loaded, or both of two."""
    found = tuple(entry_points(group=group, name=name))
    if not found:
        return None
    if len(found) > 1:
        raise WrongInput(f"{group} {name}: brought by {' and by '.join(map(source, found))}; uninstall one of them")
    try:
        part: object = found[0].load()
    except Exception as error:  # whatever a stranger's module raises when it is imported
        raise WrongInput(f"{group} {name}: {source(found[0])} cannot be loaded: {reason(error)}; upgrade it or uninstall it") from error
    return part


def sources(group: str) -> dict[str, str]:
    """Return name -> distribution and version of a group's parts."""
    return {entry.name: source(entry) for entry in entry_points(group=group)}


def used(*, methods: Collection[str], scorers: Collection[str], task: str) -> dict[str, str]:
    """Return what of a study other distributions bring, as an error names it -> distribution and version."""
    wanted = {(METHODS, "method"): methods, (SCORERS, "metric"): scorers, (TASKS, "task"): (task,)}
    return {f"{title} {name}": brought for (group, title), own in wanted.items() for name, brought in sources(group).items() if name in own}


def source(entry: EntryPoint) -> str:
    """The distribution that brings an entry point, with its version."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
