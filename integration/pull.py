"""How far the pull of an image is, by what the Docker engine says of it."""

from collections.abc import Mapping
from typing import Any


class Pull:
    """Reads what the engine says while it pulls an image, and says in a few words how far it is."""

    def __init__(self, image: str) -> None:
        self.text = f"pulling {image}"
        self._image = image
        # Of each layer that is being fetched, how many bytes are here and how many there are.
        self._layers: dict[str, tuple[int, int]] = {}

    def read(self, step: Mapping[str, Any]) -> str:
        """Take the next step and return how far the pull is."""
        layer, detail = step.get("id", ""), step.get("progressDetail") or {}
        if step.get("status") == "Downloading" and "total" in detail:
            self._layers[layer] = detail["current"], detail["total"]
        elif step.get("status") == "Download complete" and layer in self._layers:
            self._layers[layer] = (self._layers[layer][1],) * 2
        if self._layers:
            here, total = (sum(sizes) / 1_000_000 for sizes in zip(*self._layers.values(), strict=True))
            self.text = f"pulling {self._image}: {here:.0f} of {total:.0f} MB"
        return self.text
