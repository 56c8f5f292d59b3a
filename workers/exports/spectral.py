"""Changes made of a few waves as stock PEFT adapters: FOURIERFT."""

from peft import FourierFTConfig
from transformers.pytorch_utils import Conv1D

from ..method import Spectral
from ..model.backbone import Backbone
from ..model.sites import local
from .prompts import TASK_TYPES, Built, Tensors


def spectral(backbone: Backbone, method: Spectral, values: Tensors) -> Built:
    """FOURIERFT: PEFT draws the entries again from the seed, the coefficients are stored with their scaling."""
    spectra = {site.name: method.spectrum(local(values, site.key), site)[2] for site in method.sites(backbone.shape)}
    config = FourierFTConfig(
        task_type=TASK_TYPES[backbone.family],
        n_frequency=max(len(spectrum) for spectrum in spectra.values()),
        scaling=1.0,
        random_loc_seed=method.seed(values),
        target_modules=list(spectra),
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in backbone.model.modules()),
        inference_mode=True,
    )
    return config, {f"base_model.model.{name}.fourierft_spectrum": spectrum for name, spectrum in spectra.items()}
