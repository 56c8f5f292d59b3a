"""Where methods touch the frozen model: hooks on linears and norms, prompts at the input, prefixes at the attention.

The only code that knows about rows: in a batch of K trials with B rows each, rows `k*B .. (k+1)*B` belong to trial k. Methods
are written for one trial; a group of them runs under `torch.vmap` over its trials.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.utils.hooks import RemovableHandle

from ...spaces.shape import Linear, Norm, Shape
from ..configurable import file_name
from ..method import KeysValues, LinearEffect, Method, NormEffect, Pooled, SoftPrompt
from ..peft_bridge import PeftTuner, holding
from .architecture import bias_of, centres, relative_bias, standardise, weight_of
from .attention import Prefix
from .bond import Bond, Values
from .branches import branching, current
from .pack import Group
from .quantised import is_packed
from .transfer import sent


class Sites:
    """Hooks of a pack's groups on one model. Use as a context manager; inside, `bind` the tensors before each pass.

    `effects`, where given, gathers how much every trial changes a linear's output y: ‖Δy‖ / ‖y‖, the mean over tokens, (trials,),
    added up over passes, by the linear's key.
    """

    def __init__(
        self, model: nn.Module, shape: Shape, groups: Sequence[Group], *, trials: int, effects: dict[str, Tensor] | None = None
    ) -> None:
        self._model, self._shape, self._groups, self._trials, self._effects = model, shape, tuple(groups), trials, effects
        self._values: Values = ()
        self._rows, self._copies = 1, 1
        self._bond = Bond((), 1, 1, {}, None)
        self._handles: list[RemovableHandle] = []
        self._names: dict[tuple[int, str], dict[str, str]] = {}
        self._constants: dict[tuple[tuple[int, ...], torch.device], Tensor] = {}
        self._tuners = ExitStack()
        self._wrapped: dict[int, nn.Module] = {}

    def __enter__(self) -> "Sites":
        for index in self._of(PeftTuner):
            if self._trials > 1:
                raise ValueError(f"{file_name(type(self._method(index)))} cannot share a pack, got {self._trials} trials")
            tuner = self._method(index).around(self._model, self._shape, int(self._groups[index].frozen["seed"][0]))
            self._wrapped[index] = self._tuners.enter_context(tuner)
        for linear in (site for whole in self._shape.linears for site in (whole, *whole.parts)):
            self._hook_linear(linear, [i for i in self._of(LinearEffect) if linear in self._method(i).sites(self._shape)])
        for norm in self._shape.norms:
            self._hook_norm(norm, [i for i in self._of(NormEffect) if norm in self._method(i).norms(self._shape)])
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._wrapped.clear()
        self._tuners.close()

    @contextmanager
    def bind(self, values: Values, *, rows: int, copies: int = 1) -> Iterator[None]:
        """Run the model with these tensors (one dict per group, each tensor (trials, ...)) and `rows` rows per trial.

        Where a pass holds several sequences of a row, they are `copies` at most, one behind the other.
        """
        self._values = values
        prefixes = {name: self._prefix(name, present, rows) for name, present in self._prefixed().items()}
        with self._bound(Bond(values, self._trials * rows, copies, prefixes, None)):
            yield

    def again(self) -> AbstractContextManager[None]:
        """What is bound now, to be bound once more when parts of this pass are computed again in its backward."""
        return self._bound(replace(self._bond, branches=current()))

    @contextmanager
    def _bound(self, bond: Bond) -> Iterator[None]:
        before, self._bond = self._bond, bond
        self._values, self._rows, self._copies = bond.values, bond.rows, bond.copies
        for name, prefix in bond.prefixes.items():
            self._model.get_submodule(name).ulpt_prefix = prefix  # type: ignore[assignment]
        try:
            with ExitStack() as held:
                for index, wrapped in self._wrapped.items():
                    own = {name: value[0] for name, value in bond.values[index].items()}
                    held.enter_context(holding(wrapped, own, added=self._method(index).adds(self._shape)))
                if bond.branches is not None:
                    held.enter_context(branching(bond.branches))
                yield
        finally:
            self._bond, self._values = before, before.values
            for name in bond.prefixes:
                del self._model.get_submodule(name).ulpt_prefix

    def prompts(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Put every trial's virtual tokens in front of its rows.

        `embedded` is (trials, rows, tokens, width). Returns the same with room for the longest prompt, each row laid out
        `[prompt | text | pad]`, and each trial's prompt length (trials,). To be called inside `bind`.
        """
        texts, fronts = list(embedded.unbind(0)), [embedded.new_zeros(0, embedded.shape[-1])] * self._trials
        for index in self._of(SoftPrompt):
            group, values = self._groups[index], self._values[index]
            changed = _texts(group.method, values, embedded[group.first : group.first + group.count])
            made = each(lambda p, m=group.method: m.prompt(p), values)
            for k in range(group.count):
                position = group.first + k
                texts[position] = texts[position] if changed is None else changed[k].to(embedded.dtype)
                fronts[position] = torch.cat([fronts[position], made[k].to(embedded.dtype)])
        longest = max(len(front) for front in fronts)
        rows = [_lay_out(front, text, longest=longest) for front, text in zip(fronts, texts, strict=True)]
        return torch.stack(rows), self.constant([len(front) for front in fronts], embedded.device)

    @cached_property
    def untouched(self) -> int:
        """Number of the model's first blocks whose output is the same for all trials, whatever their values."""
        return min((lowest_block(group.method, self._shape) for group in self._groups), default=0)

    @property
    def has_prefix(self) -> bool:
        """Whether any trial has extra keys and values."""
        return bool(self._of(KeysValues))

    def shifts(self, device: torch.device) -> Tensor:
        """Number of extra key positions in front of each trial's rows, (trials,); positions of its tokens start there."""
        lengths = [0] * self._trials
        for group in (self._groups[index] for index in self._of(KeysValues)):
            for k in range(group.count):
                lengths[group.first + k] += group.method.length  # type: ignore[attr-defined]
        return self.constant(lengths, device)

    def constant(self, values: Sequence[int], device: torch.device) -> Tensor:
        """Whole numbers on the device, not to be changed; they are the same at every step, so they are copied there once."""
        key = (tuple(values), device)
        if key not in self._constants:
            self._constants[key] = sent(torch.tensor(values), device)
        return self._constants[key]

    def _method(self, index: int) -> Any:
        """A group's method; which effect it has is known where it is used."""
        return self._groups[index].method

    def _of(self, effect: type) -> list[int]:
        return [index for index, group in enumerate(self._groups) if isinstance(group.method, effect)]

    def _local(self, index: int, key: str, device: torch.device) -> dict[str, Tensor]:
        """A group's tensors at a site, where that is: a model may be spread over several devices."""
        values = self._values[index]
        if (index, key) not in self._names:
            self._names[index, key] = {plain: name for name in values if (plain := _plain(name, key)) is not None}
        return {plain: values[name].to(device) for plain, name in self._names[index, key].items()}

    def _rounds(self, groups: Sequence[int], *, rows: int) -> Iterator[tuple[list[int], dict[int, int]]]:
        """Groups that share no trial, together: the lengths to cut a batch into, and which piece is each group's."""
        waiting = list(groups)
        while waiting:
            cuts, places, end, taken = [], {}, 0, set()
            for index in waiting:
                own = self._groups[index]
                if own.first < end:
                    continue
                cuts += [(own.first - end) * rows] * (own.first > end) + [own.count * rows]
                places[index], end = len(cuts) - 1, own.first + own.count
                taken.add(index)
            yield cuts + [(self._trials - end) * rows] * (end < self._trials), places
            waiting = [index for index in waiting if index not in taken]

    def _hook_linear(self, site: Linear, groups: list[int]) -> None:
        if not groups:
            return
        module = self._model.get_submodule(site.name)
        bias = bias_of(module, site)
        held = None if is_packed(module.weight) else weight_of(module, site)
        own = None if site.share is None else torch.tensor(site.share.places(), device=next(module.parameters()).device)

        def before(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            def apply(i: int, p: dict[str, Tensor], x: Tensor) -> Tensor:
                changed: Tensor = self._method(i).before(p, site, x)
                return changed

            return (self._replace(args[0], early, apply, key=site.key), *args[1:])

        def after(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
            def apply(i: int, p: dict[str, Tensor], y: Tensor, x: Tensor) -> Tensor:
                method = self._method(i)
                weight = _made(module, site, read=own is not None or method.reads_weight) if held is None else held
                if own is not None:  # what it reads is read by the module's other parts, too, and stays as it is for them
                    x, y = _read_again(method.before(p, site, x), x, y, weight, bias)
                behind = bias if method.under_bias else None
                changed: Tensor = method.after(p, site, x, y if behind is None else y - behind, weight)
                return changed if behind is None else changed + behind.to(changed.dtype)

            plain = output if own is None else output.index_select(-1, own)
            changed = self._replace(plain, late, apply, args[0], key=site.key)
            if self._effects is not None:
                self._note(site.key, plain.detach(), changed.detach())
            return changed if own is None else output.index_copy(-1, own, changed)

        early = [i for i in groups if own is None and type(self._method(i)).before is not LinearEffect.before]
        late = [i for i in groups if own is not None or type(self._method(i)).after is not LinearEffect.after]
        if early:
            self._handles.append(module.register_forward_pre_hook(before))
        if late:
            self._handles.append(module.register_forward_hook(after))

    def _hook_norm(self, site: Norm, groups: list[int]) -> None:
        if not groups:
            return
        module = self._model.get_submodule(site.name)
        centres(module)  # tried before the hook is there

        def after(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
            def apply(i: int, p: dict[str, Tensor], y: Tensor, x: Tensor) -> Tensor:
                scale, shift = self._method(i).affine(p, site)
                changed: Tensor = y if scale is None else y + standardise(module, x) * scale
                return changed if shift is None else changed + shift

            return self._replace(output, groups, apply, args[0], key=site.key)

        self._handles.append(module.register_forward_hook(after))

    def _replace(self, y: Tensor, groups: list[int], apply: Callable[..., Tensor], *inputs: Tensor, key: str) -> Tensor:
        """Let each group change its own rows of `y`, (rows, ..., features) or (rows · tokens, features); other rows pass as they are."""
        if len(y) % self._rows or (y.ndim > 2 and len(y) > self._rows * self._copies):
            raise ValueError(f"{key}: {self._rows} rows of {self._trials} trials come as {tuple(y.shape)}, so whose are whose is unknown")
        for cuts, places in self._rounds(groups, rows=len(y) // self._trials):
            # One split and one cat, whose gradients are a cat and a split; a slice's gradient would fill and add whole tensors.
            pieces = [list(tensor.to(y.device).split(cuts)) for tensor in (y, *inputs)]
            for index, place in places.items():
                count = self._groups[index].count
                arguments = [own[place].reshape(count, -1, own[place].shape[-1]) for own in pieces]
                changed = each(lambda p, *a, i=index: apply(i, p, *a), self._local(index, key, y.device), *arguments)
                pieces[0][place] = changed.to(y.dtype).reshape(-1, *y.shape[1:-1], changed.shape[-1])
            y = pieces[0][0] if len(cuts) == 1 else torch.cat(pieces[0])
        return y

    def _note(self, key: str, y: Tensor, changed: Tensor) -> None:
        """Add to `effects` what a pass did at a linear."""
        assert self._effects is not None
        ratio = (changed - y).norm(dim=-1) / y.norm(dim=-1).clamp_min(torch.finfo(y.dtype).tiny)
        self._effects[key] = self._effects.get(key, 0.0) + ratio.view(self._trials, -1).mean(1)

    def _prefixed(self) -> dict[str, list[int]]:
        """Attention module -> groups that put keys and values in front of it."""
        sites: dict[str, list[int]] = {}
        for index in self._of(KeysValues):
            for site in self._groups[index].method.sites(self._shape):  # type: ignore[attr-defined]
                sites.setdefault(site.name, []).append(index)
        return sites

    def _prefix(self, name: str, groups: list[int], rows: int) -> Prefix:
        """Keys and values of every row at one attention, zero and absent for trials without a prefix there."""
        site = next(site for site in self._shape.attentions if site.name == name)
        kv: list[list[tuple[Tensor, Tensor]]] = [[] for _ in range(self._trials)]
        device = next(self._model.get_submodule(name).parameters()).device
        for index in groups:
            group = self._groups[index]
            keys, values = _pairs(lambda p, m=group.method: m.keys_values(p, site), self._local(index, site.key, device))
            for k in range(group.count):
                kv[group.first + k].append((keys[k], values[k]))
        dtype = next(self._model.parameters()).dtype
        longest = max(sum(len(k) for k, _ in pairs) for pairs in kv)
        keys = torch.stack([_column([k for k, _ in pairs], longest, site.kv, device) for pairs in kv])
        values = torch.stack([_column([v for _, v in pairs], longest, site.kv, device) for pairs in kv])
        lengths = self.constant([sum(len(k) for k, _ in pairs) for pairs in kv], device)
        present = torch.arange(longest, device=device)[None] >= longest - lengths[:, None]

        def heads(tensor: Tensor) -> Tensor:
            split = tensor.to(dtype).view(self._trials, longest, site.kv_heads, site.head_dim).transpose(1, 2)
            return split.repeat_interleave(rows, 0)

        return Prefix(heads(keys), heads(values), present.repeat_interleave(rows, 0), relative_bias(self._model, name))


def _made(module: nn.Module, site: Linear, *, read: bool) -> Tensor:
    """The weight of a linear in few bits for one pass, for all of them would be the model once more; without numbers where none is read."""
    return weight_of(module, site) if read else torch.empty(site.outputs, site.inputs, device="meta")


def _read_again(changed: Tensor, x: Tensor, y: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Input and output of a linear that reads `changed` in the place of `x`, where that is something else; in the precision of `y`."""
    if changed is x:
        return x, y
    return changed, nn.functional.linear(changed.to(y.dtype), weight.to(y.dtype), None if bias is None else bias.to(y.dtype))


def lowest_block(method: Method, shape: Shape) -> int:
    """The lowest block that a method touches; 0 for prompts, and for prefixes, which move every position; past all of them for heads."""
    if isinstance(method, Pooled):
        return shape.layers
    layers = [site.layer for site in method.sites(shape)] if isinstance(method, LinearEffect) else []
    layers += [target.layer for target in method.targets(shape)] if isinstance(method, PeftTuner) else []
    layers += [norm.layer for norm in method.norms(shape)] if isinstance(method, NormEffect) else []
    return max(0, min(layers, default=0))


def local(values: dict[str, Tensor], key: str) -> dict[str, Tensor]:
    """What an effect at the site `key` sees: shared tensors and its own, both under their plain names."""
    return {plain: tensor for name, tensor in values.items() if (plain := _plain(name, key)) is not None}


def _plain(name: str, key: str) -> str | None:
    site, slash, plain = name.rpartition("/")
    return plain if not slash or site == key else None


def each(function: Callable[..., Tensor], values: dict[str, Tensor], *inputs: Tensor) -> Tensor:
    """Apply a one-trial function to every trial: stacked results, (trials, ...). A group of one skips vmap's bookkeeping."""
    if next(iter(values.values())).shape[0] == 1:
        return function({name: v[0] for name, v in values.items()}, *(t[0] for t in inputs))[None]
    return torch.vmap(function, randomness="error")(values, *inputs)


def _pairs(function: Callable[..., tuple[Tensor, Tensor]], values: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    pair: tuple[Tensor, Tensor] = torch.vmap(function, randomness="error")(values)
    return pair


def _texts(method: Method, values: dict[str, Tensor], embedded: Tensor) -> Tensor | None:
    """Token embeddings (trials, rows, tokens, width) as the method changes them; None where it leaves them alone."""
    if type(method).embeddings is SoftPrompt.embeddings:  # type: ignore[attr-defined]
        return None

    def rows(p: dict[str, Tensor], texts: Tensor) -> Any:
        return torch.vmap(lambda text: method.embeddings(p, text))(texts)  # type: ignore[attr-defined]

    return each(rows, values, embedded)


def _lay_out(front: Tensor, texts: Tensor, *, longest: int) -> Tensor:
    """`[prompt | text | pad]` for the rows (rows, tokens, width) of one trial."""
    rows = torch.cat([front.expand(len(texts), -1, -1), texts], 1)
    return pad(rows, (0, 0, 0, longest - len(front)))


def _column(pieces: list[Tensor], longest: int, width: int, device: torch.device) -> Tensor:
    stacked = torch.cat([*pieces, torch.zeros(0, width, device=device)])
    return pad(stacked, (0, 0, longest - len(stacked), 0))
