"""The demo's pictures: small landscapes as SVG, each made of its key alone."""

import random
from typing import Final, NamedTuple

WIDTH: Final = 480
HEIGHT: Final = 320


class _Light(NamedTuple):
    """The colours of a time of day: the sky down to the horizon, the sun or moon, and the hills from far to near."""

    sky: tuple[str, str]
    disc: str
    hills: tuple[str, str, str]
    has_stars: bool = False


_LIGHTS: Final = (
    _Light(("#f7c6a3", "#fdf0d9"), "#fff6df", ("#c98f7c", "#8d5f68", "#4b3a52")),
    _Light(("#9cc9e3", "#eaf4f2"), "#fffdf2", ("#8fb8a8", "#5d927f", "#2f6156")),
    _Light(("#28305c", "#8a6f9e"), "#f4ead2", ("#51497c", "#363460", "#1e2143"), has_stars=True),
    _Light(("#e58f65", "#f9dcb0"), "#fff1c9", ("#b9655a", "#7c4656", "#40304a")),
    _Light(("#cfd8dc", "#f1f1ec"), "#ffffff", ("#a9b7b8", "#7b8f92", "#4c6066")),
    _Light(("#102a3a", "#2f6f77"), "#e9f3df", ("#235a62", "#17424d", "#0c2a35"), has_stars=True),
    _Light(("#f2d7de", "#fbf3ea"), "#ffe9d2", ("#d3a4b3", "#a5748f", "#6b4a6c")),
    _Light(("#bfe0c4", "#f6f6df"), "#fffbe0", ("#9cc18c", "#66976a", "#34654b")),
)


def picture(key: str) -> str:
    """Draw the picture of a key: the same key always has the same one."""
    chance = random.Random(key)  # noqa: S311 - it draws hills
    light = chance.choice(_LIGHTS)
    horizon = chance.uniform(0.5, 0.68) * HEIGHT
    disc = (chance.uniform(0.15, 0.85) * WIDTH, chance.uniform(0.36, 0.5) * HEIGHT, chance.uniform(16, 30))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
        f'<linearGradient id="sky" x2="0" y2="1"><stop stop-color="{light.sky[0]}"/>',
        f'<stop offset=".75" stop-color="{light.sky[1]}"/></linearGradient>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#sky)"/>',
        *(_stars(chance) if light.has_stars else ()),
        f'<circle cx="{disc[0]:.0f}" cy="{disc[1]:.0f}" r="{disc[2]:.0f}" fill="{light.disc}"/>',
    ]
    for number, colour in enumerate(light.hills):
        height = horizon + number * (HEIGHT - horizon) / len(light.hills)
        parts.append(f'<path d="{_ridge(chance, height, 42 - 10 * number)}" fill="{colour}"/>')
    return "".join([*parts, "</svg>\n"])


def _stars(chance: random.Random) -> list[str]:
    return [
        f'<circle cx="{chance.uniform(0, WIDTH):.0f}" cy="{chance.uniform(0, HEIGHT / 2):.0f}" '
        f'r="{chance.uniform(0.6, 1.6):.1f}" fill="#fff" opacity="{chance.uniform(0.4, 0.9):.1f}"/>'
        for _ in range(28)
    ]


def _ridge(chance: random.Random, height: float, swing: float) -> str:
    """Return the outline of hills: a smooth line through points around a height, closed below."""
    step = WIDTH / chance.randint(3, 6)
    x, y = 0.0, height + chance.uniform(-swing, swing)
    outline = [f"M0 {HEIGHT}V{y:.0f}"]
    while x < WIDTH:
        following = height + chance.uniform(-swing, swing)
        middle = x + step / 2
        x += step
        outline.append(f"C{middle:.0f} {y:.0f} {middle:.0f} {following:.0f} {x:.0f} {following:.0f}")
        y = following
    return "".join([*outline, f"V{HEIGHT}Z"])
