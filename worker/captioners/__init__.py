"""Captioners: title, caption and alt text under the contract of `tasks.ports.Captioner`."""
