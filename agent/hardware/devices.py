"""GPUs, and a CPU, with the figures of their data sheets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU or a CPU: memory in bytes, bandwidth in bytes/s, 16-bit operations/s; None where not known.

    Those since NVIDIA's Ampere have bfloat16, and vLLM's FP8 KV cache.
    """

    name: str
    memory_bytes: int
    bandwidth: float | None = None
    flops: float | None = None
    since_ampere: bool = True


# NVIDIA's data sheets: dense 16-bit tensor operations; the A100 on PCIe, the H100 and the H200 on SXM.
KNOWN_DEVICES = {
    device.name: device
    for device in (
        Device("L4", 24_000_000_000, 300e9, 121e12),
        Device("T4", 16_000_000_000, 320e9, 65e12, since_ampere=False),
        Device("A100-80", 80_000_000_000, 1.935e12, 312e12),
        Device("H100", 80_000_000_000, 3.35e12, 989e12),
        Device("H200", 141_000_000_000, 4.8e12, 989e12),
        Device("RTX PRO 6000", 96_000_000_000, 1.79e12, 504e12),  # Blackwell
    )
}
