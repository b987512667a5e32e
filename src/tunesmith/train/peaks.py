"""What GPUs can do at most, by name, from their makers' data sheets. Standard library only: looked up where no torch is loaded."""

_PEAKS = {
    "GB200": 2500e12,
    "B200": 2250e12,
    "B100": 1750e12,
    "GH200": 989e12,
    "H200": 989e12,
    "H100 NVL": 835e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "H800": 989e12,
    "H20": 148e12,
    "A100": 312e12,
    "A800": 312e12,
    "A40": 149.7e12,
    "A30": 165e12,
    "A10G": 70e12,
    "A10": 125e12,
    "RTX A6000": 154.8e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "RTX 6000 Ada": 364e12,
    "RTX 5090": 209.5e12,
    "RTX 4090": 165.2e12,
    "RTX 3090": 71e12,
}
"""Dense bf16 products with fp32 sums, operations a second, by part of the device's name."""


def peak_of_gpu(name: str) -> float | None:
    """Operations a second of a GPU in dense bf16 products, by its name; None where the table does not have it."""
    words = f" {name} ".replace("-", " ")
    known = [part for part in _PEAKS if f" {part} " in words]
    return _PEAKS[max(known, key=len)] if known else None
