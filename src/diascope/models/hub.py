"""Weights from timm's hub (Hugging Face): fetched once into its own cache, where later uses find them offline."""

from collections.abc import Sequence
from pathlib import Path

from diascope.core.errors import ConfigError

FILES = ("model.safetensors", "pytorch_model.bin")  # the first is preferred
PATIENCE = 5.0  # seconds until a server that says nothing is given up
WHERE = "model.weights: hub"


def hub_file(backbone: str) -> Path:
    """The file of the weights that timm publishes for `backbone`. Raises ConfigError where they cannot be had."""
    import timm

    published = timm.get_pretrained_cfg(backbone)
    if published is not None and published.hf_hub_id:
        return fetch(published.hf_hub_id, (published.hf_hub_filename,) if published.hf_hub_filename else FILES)
    if published is not None and published.url:
        remedy = f"fetch {published.url} and set model.weights to its path"
        raise ConfigError(f"timm's hub has no weights for {backbone}", where=WHERE, remedy=remedy)
    remedy = "set model.weights to a file of your own or to random, or take another model.backbone"
    raise ConfigError(f"timm publishes no weights for {backbone}", where=WHERE, remedy=remedy)


def fetch(hub_id: str, names: Sequence[str], *, endpoint: str | None = None, cache: Path | None = None) -> Path:
    """The first of the files `names` that the repository has, from the cache where it is there already.

    `hub_id` is owner/name or owner/name@revision. `endpoint` and `cache` default to what huggingface_hub takes from
    its environment variables. Raises ConfigError at once, without repeating what failed, where there is no network.
    """
    from huggingface_hub import try_to_load_from_cache

    repository, _, revision = hub_id.partition("@")
    for name in names:
        found = try_to_load_from_cache(repository, name, cache_dir=cache, revision=revision or None)
        if isinstance(found, str):
            return Path(found)
    for name in names:
        try:
            return _download(repository, name, revision or None, endpoint, cache)
        except Exception as error:  # of huggingface_hub, of the HTTP library below it, or of the file system
            if name == names[-1] or not _is_not_there(error):
                raise _not_fetched(repository, names, error) from error
    raise AssertionError("there are no names")


def _download(repository: str, name: str, revision: str | None, endpoint: str | None, cache: Path | None) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.utils.tqdm import silent_tqdm

    # The download itself would ask a server that does not answer again and again, for minutes.
    address = hf_hub_url(repository, name, revision=revision, endpoint=endpoint)
    get_hf_file_metadata(address, timeout=PATIENCE, endpoint=endpoint)
    return Path(
        hf_hub_download(
            repository,
            name,
            revision=revision,
            endpoint=endpoint,
            cache_dir=cache,
            etag_timeout=PATIENCE,
            tqdm_class=silent_tqdm,
        )
    )


def _is_not_there(error: Exception) -> bool:
    """Whether the server says that there is no such file: another name may do."""
    return getattr(getattr(error, "response", None), "status_code", None) == 404


def _not_fetched(repository: str, names: Sequence[str], error: Exception) -> ConfigError:
    told = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    what = f"could not fetch {' or '.join(names)} of {repository} ({told[:300]})"
    remedy = f"bring the file {names[0]} from https://huggingface.co/{repository} and set model.weights to its path"
    return ConfigError(what, where=WHERE, remedy=remedy)
