"""The GPUs of a Kaggle machine, as their driver lists them, on a machine that has none."""

from __future__ import annotations

from pathlib import Path

from agent.errors import InputError

# What nvidia-smi says of one of them, in MiB, and how many there are.
_GPUS = {
    "NvidiaTeslaT4": ("Tesla T4", 15_360, 2),
    "NvidiaL4": ("NVIDIA L4", 23_034, 4),
    "NvidiaL4X1": ("NVIDIA L4", 23_034, 1),
    "NvidiaTeslaP100": ("Tesla P100-PCIE-16GB", 16_384, 1),
    "NvidiaTeslaA100": ("NVIDIA A100-SXM4-80GB", 81_920, 1),
    "NvidiaH100": ("NVIDIA H100 80GB HBM3", 81_559, 1),
    "NvidiaRtxPro6000": ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 97_887, 1),
}


def gpus_of(machine: str) -> str:
    """What nvidia-smi prints on the machine of that shape, "" where that is not known."""
    name, mebibytes, count = _GPUS.get(machine, ("", 0, 0))
    return f"{name}, {mebibytes}\n" * count


def put_driver(folder: Path, machine: str) -> None:
    """Put a program into a folder that answers as nvidia-smi does on the machine of that shape.

    Raises InputError for a shape that is not known.
    """
    if machine not in _GPUS:
        raise InputError(f"the GPUs of the machine {machine} are not known: give one of {', '.join(_GPUS)}")
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "nvidia-smi"
    lines = "".join(f"echo '{line}'\n" for line in gpus_of(machine).splitlines())
    program.write_text(f"#!/bin/sh\n{lines}", encoding="utf-8")
    program.chmod(0o755)
