"""What vLLM compiled for a model, kept from an interactive run for the scored one: a packed folder beside the wheels.

A cache that is missing or damaged costs nothing but the compilation; of one that was made for another model, version
or GPU, vLLM takes nothing.
"""

from __future__ import annotations

import gzip
import shutil
import tarfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path

CACHE_FILE = "vllm-cache.packed"  # no ending of an archive, as Kaggle would unpack that
CACHE_FOLDER = "aimo-agent-vllm-cache"
UNPACKED_VARIABLE = "AIMO_COMPILE_CACHE"  # tells the worker where the unpacked cache is
_COMPILED_VARIABLE = "VLLM_CACHE_ROOT"  # where vLLM keeps it
_READ_BYTES = 1 << 20


def unpack_cache(wheels: Path, folder: Path) -> str:
    """Unpack the cache beside the wheels into the folder, once; return what is wrong with it, "" if nothing is."""
    packed = wheels / CACHE_FILE
    if not packed.is_file() or folder.exists():
        return ""
    unfinished = folder.with_name(f"{folder.name}.tmp")
    try:
        with gzip.open(packed) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                archive.extractall(unfinished, filter="data")
            while stream.read(_READ_BYTES):  # the checksum of the whole lies at the end, behind that of the archive
                pass
        unfinished.rename(folder)
    except Exception as error:  # noqa: BLE001  # tarfile raises many where a byte of a header is wrong
        shutil.rmtree(unfinished, ignore_errors=True)
        return f"{packed} is not used: {error}; make it anew or leave it out"
    return ""


def use_cache(environment: MutableMapping[str, str], configured: Mapping[str, str]) -> None:
    """Let vLLM keep what it compiles in the folder that UNPACKED_VARIABLE of our `environment` names, if it names one.

    Another folder that the environment or the `configured` variables of the server name for that stays in force.
    """
    if _COMPILED_VARIABLE not in configured and (folder := environment.get(UNPACKED_VARIABLE)):
        environment.setdefault(_COMPILED_VARIABLE, folder)


def pack_cache(folder: Path, file: Path) -> None:
    """Pack the folder into the file as a whole, or leave nothing; nothing where it holds nothing. Raises OSError."""
    if not folder.is_dir() or not any(path.is_file() for path in folder.rglob("*")):
        return
    unfinished = file.with_name(f".{file.name}.tmp")
    try:
        with tarfile.open(unfinished, "w:gz", compresslevel=1) as archive:
            archive.add(folder, ".")
        unfinished.replace(file)
    except BaseException:
        unfinished.unlink(missing_ok=True)  # on a full disk the run's own files have no other room
        raise
