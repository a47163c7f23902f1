"""Bright Run plans, writes, reviews and exports conversations for LoRA fine-tuning."""

from __future__ import annotations

__version__ = "0.1.0"
