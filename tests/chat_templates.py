"""Chat templates in the manner of well-known families, written for the tests, and by hand what of a conversation each has learnt.

The conversation: system S, user a, assistant b, user c, assistant d.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from .chats import tokenizer


@dataclass(frozen=True)
class Chat:
    """One family."""

    special: tuple[str, ...]
    template: str
    shown: str
    """The conversation's text, what is learnt in ⟦ ⟧, a ¦ between its tokens: a sign or a special token each."""
    eos: str = "</s>"
    bos: str | None = None
    adds_bos: bool = False

    @property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """A tokenizer with the template."""
        known = tuple(dict.fromkeys((*self.special, self.eos, *([self.bos] if self.bos else []))))
        return tokenizer(known, eos=self.eos, bos=self.bos, adds_bos=self.adds_bos, template=self.template)


REFUSES_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
ALTERNATES = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}"
    "{% endif %}{% endfor %}"
)
CHATS: Mapping[str, Chat] = {
    "chatml": Chat(
        ("<|im_start|>", "<|im_end|>"),
        "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}"
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦b¦<|im_end|>⟧\n"
        "<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n⟦d¦<|im_end|>⟧\n",
        eos="<|endoftext|>",
    ),
    "llama2": Chat(
        (),
        "{% set ns = namespace(system='') %}{% for m in messages %}{% if m.role == 'system' %}"
        "{% set ns.system = '<<SYS>>\n' + m.content + '\n<</SYS>>\n\n' %}{% elif m.role == 'user' %}"
        "{{ bos_token + '[INST] ' + ns.system + m.content | trim + ' [/INST]' }}{% set ns.system = '' %}"
        "{% else %}{{ ' ' + m.content | trim + ' ' + eos_token }}{% endif %}{% endfor %}",
        "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\na [/INST]⟦ ¦b¦ ¦</s>⟧<s>[INST] c [/INST]⟦ ¦d¦ ¦</s>⟧",
        bos="<s>",
        adds_bos=True,
    ),
    "llama3": Chat(
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "{{ bos_token }}{% for m in messages %}"
        "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
        "<|begin|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\na<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n⟦b¦<|eot_id|>⟧<|start_header_id|>user<|end_header_id|>\n\nc<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n⟦d¦<|eot_id|>⟧",
        eos="<|end|>",
        bos="<|begin|>",
        adds_bos=True,
    ),
    "mistral": Chat(
        ("[INST]", "[/INST]"),
        REFUSES_SYSTEM + ALTERNATES + "{{ bos_token }}{% for m in messages %}"
        "{% if m.role == 'user' %}{{ '[INST] ' + m.content + '[/INST]' }}"
        "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}",
        "<s>[INST] S\n\na[/INST]⟦ ¦b¦</s>⟧[INST] c[/INST]⟦ ¦d¦</s>⟧",
        bos="<s>",
        adds_bos=True,
    ),
    "gemma": Chat(
        ("<start_of_turn>", "<end_of_turn>"),
        REFUSES_SYSTEM + ALTERNATES + "{{ bos_token }}{% for m in messages %}"
        "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' + m.content | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
        "<bos><start_of_turn>user\nS\n\na<end_of_turn>\n<start_of_turn>model\n⟦b¦<end_of_turn>⟧\n"
        "<start_of_turn>user\nc<end_of_turn>\n<start_of_turn>model\n⟦d¦<end_of_turn>⟧\n",
        eos="<eos>",
        bos="<bos>",
        adds_bos=True,
    ),
    "phi3": Chat(
        ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
        "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
        "<|system|>\nS<|end|>\n<|user|>\na<|end|>\n<|assistant|>\n⟦b¦<|end|>⟧\n<|user|>\nc<|end|>\n<|assistant|>\n⟦d¦<|end|>⟧\n<|endoftext|>",
        eos="<|endoftext|>",
    ),
    "zephyr": Chat(
        (),
        "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
        "<|system|>\nS</s>\n<|user|>\na</s>\n<|assistant|>\n⟦b¦</s>⟧\n<|user|>\nc</s>\n<|assistant|>\n⟦d¦</s>⟧\n",
        bos="<s>",
        adds_bos=True,
    ),
    "vicuna": Chat(
        (),
        "{% for m in messages %}{% if m.role == 'system' %}{{ m.content + ' ' }}{% elif m.role == 'user' %}{{ 'USER: ' + m.content + ' ' }}"
        "{% else %}{{ 'ASSISTANT: ' + m.content + eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}",
        "S USER: a ASSISTANT:⟦ ¦b¦</s>⟧USER: c ASSISTANT:⟦ ¦d¦</s>⟧",
    ),
    "command-r": Chat(
        ("<|START|>", "<|SYSTEM|>", "<|USER|>", "<|CHATBOT|>", "<|END|>"),
        "{{ bos_token }}{% for m in messages %}"
        "{{ '<|START|>' + {'system': '<|SYSTEM|>', 'user': '<|USER|>', 'assistant': '<|CHATBOT|>'}[m.role]"
        " + m.content.strip() + '<|END|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|START|><|CHATBOT|>' }}{% endif %}",
        "<BOS><|START|><|SYSTEM|>S<|END|><|START|><|USER|>a<|END|><|START|><|CHATBOT|>⟦b¦<|END|>⟧"
        "<|START|><|USER|>c<|END|><|START|><|CHATBOT|>⟦d¦<|END|>⟧",
        eos="<EOS>",
        bos="<BOS>",
        adds_bos=True,
    ),
    "deepseek": Chat(
        ("<|User|>", "<|Assistant|>"),
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}"
        "{% elif m.role == 'user' %}{{ '<|User|>' + m.content }}"
        "{% else %}{{ '<|Assistant|>' + m.content.split('</think>')[-1] + eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|Assistant|>' }}{% endif %}",
        "<bos>S<|User|>a<|Assistant|>⟦b¦<eos>⟧<|User|>c<|Assistant|>⟦d¦<eos>⟧",
        eos="<eos>",
        bos="<bos>",
        adds_bos=True,
    ),
    "glm": Chat(
        ("[g]", "<|system|>", "<|user|>", "<|assistant|>"),
        "{{ '[g]' }}{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
        "[g]<|system|>\nS<|user|>\na<|assistant|>\n⟦b¦<|user|>⟧\nc<|assistant|>\n⟦d¦<|endoftext|>⟧",
        eos="<|endoftext|>",
    ),
}
"""Family -> its template."""

THINKS = (
    "{% set last = messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list | length %}"
    "{% set ns = namespace(asked=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.asked = ns.asked + 1 %}{% endif %}"
    "{% set text = m.content if ns.asked == last else m.content.split('</think>')[-1] %}"
    "{{ '<|im_start|>' + m.role + '\n' + text + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Only behind the last question is what an assistant thought kept."""
MARKED = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}{% generation %}"
    "{{ m.content + '<|im_end|>' }}{% endgeneration %}{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Says itself what an assistant has generated."""
