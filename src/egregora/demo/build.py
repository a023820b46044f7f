"""Builds the bundled example export: the chat, the pictures drawn for it, a small PDF and a contact card, in one zip.

Run `python -m egregora.demo.build` after changing `chat.txt` or a picture. The same text and the same Pillow give the
same bytes.
"""

from __future__ import annotations

import io
import math
import random
import zipfile
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFilter, ImageFont
from PIL.TiffImagePlugin import IFDRational

from egregora.demo import CHAT, EXPORT, GROUP_TITLE

__all__ = ["CONTACT_CARD", "DOCUMENT", "PICTURES", "build"]

Colour = tuple[int, int, int]
Point = tuple[float, float]

SIZE = (800, 600)
SCALE = 2
"""Pictures are drawn this many times larger and then reduced, which smooths every edge."""
W, H = SIZE[0] * SCALE, SIZE[1] * SCALE

PAPER: Colour = (244, 236, 217)
PENCIL: Colour = (72, 68, 76)
GREEN: Colour = (28, 84, 66)
CREAM: Colour = (240, 226, 188)
SAIL: Colour = (158, 74, 48)
BARE: Colour = (214, 208, 192)
INK: Colour = (30, 30, 44)


# --- brushes ---------------------------------------------------------------------------------------------------------


def seeded(seed: int) -> random.Random:
    """Chance that falls the same way each time, for what should look as if made by hand."""
    return random.Random(seed)  # noqa: S311


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour that lies `share` (0 to 1) of the way from `a` to `b`."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


def gradient(stops: Sequence[tuple[float, Colour]]) -> Image.Image:
    """A canvas shaded from top to bottom. `stops`: height (0 top, 1 bottom) and colour, in order."""
    column = Image.new("RGB", (1, H))
    for y in range(H):
        at = y / (H - 1)
        for (low, first), (high, second) in pairwise(stops):
            if low <= at <= high:
                column.putpixel((0, y), mix(first, second, (at - low) / (high - low)))
    return column.resize((W, H))


def curve(points: Sequence[Point], steps: int = 40) -> list[Point]:
    """The Bézier curve of three or four control points, as a line of points."""
    line = []
    n = len(points) - 1
    for i in range(steps + 1):
        t = i / steps
        weights = [math.comb(n, k) * (1 - t) ** (n - k) * t**k for k in range(n + 1)]
        line.append(
            (
                sum(weight * x for weight, (x, _) in zip(weights, points, strict=True)),
                sum(weight * y for weight, (_, y) in zip(weights, points, strict=True)),
            )
        )
    return line


def ridge(draw: ImageDraw.ImageDraw, base: float, swing: float, seed: int, colour: Colour) -> None:
    """Fill everything below a line of hills around height `base`, which rises and falls by about `swing` pixels."""
    rng = seeded(seed)
    waves = [(rng.uniform(0.8, 4.5) * math.tau / W, rng.uniform(0, math.tau), rng.uniform(0.3, 1)) for _ in range(5)]
    line = [
        (x, base - swing * sum(size * math.sin(x * speed + shift) for speed, shift, size in waves) / 2.2)
        for x in range(0, W + 8, 8)
    ]
    draw.polygon([*line, (W, H), (0, H)], fill=colour)


def lay(
    image: Image.Image, shape: Callable[[ImageDraw.ImageDraw], None], colour: Colour, alpha: int, blur: float
) -> None:
    """Paint what `shape` draws (in white, on a mask) over the image, see-through (0 to 255) and with soft edges."""
    mask = Image.new("L", (W, H), 0)
    shape(ImageDraw.Draw(mask))
    mask = mask.point(lambda value: value * alpha // 255)
    if blur:
        mask = mask.filter(ImageFilter.GaussianBlur(blur))
    image.paste(Image.new("RGB", (W, H), colour), (0, 0), mask)


def disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, fill: Colour | int, flat: float = 1.0) -> None:
    """A filled circle, or an ellipse whose height is `flat` times its width."""
    draw.ellipse((x - radius, y - radius * flat, x + radius, y + radius * flat), fill=fill)


def gull(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, feet: Colour = (222, 150, 60)) -> None:
    """Gerald, standing, looking left. `x`, `y`: where his feet are; `size`: his height."""
    s = size
    for shift in (-0.03, 0.09):
        draw.line([(x + shift * s, y - 0.3 * s), (x + shift * s, y)], fill=feet, width=max(3, round(s * 0.035)))
        draw.polygon(
            [(x + shift * s, y - 0.03 * s), (x + (shift - 0.11) * s, y), (x + (shift + 0.04) * s, y)], fill=feet
        )
    body = [
        *curve(
            [
                (x - 0.26 * s, y - 0.62 * s),
                (x - 0.22 * s, y - 0.2 * s),
                (x + 0.2 * s, y - 0.18 * s),
                (x + 0.56 * s, y - 0.36 * s),
            ]
        ),
        *curve(
            [
                (x + 0.56 * s, y - 0.36 * s),
                (x + 0.2 * s, y - 0.62 * s),
                (x - 0.02 * s, y - 0.6 * s),
                (x - 0.06 * s, y - 0.76 * s),
            ]
        ),
    ]
    draw.polygon(body, fill=(246, 246, 242))
    wing = [
        *curve(
            [
                (x - 0.02 * s, y - 0.5 * s),
                (x + 0.1 * s, y - 0.26 * s),
                (x + 0.3 * s, y - 0.3 * s),
                (x + 0.6 * s, y - 0.33 * s),
            ]
        ),
        *curve(
            [
                (x + 0.6 * s, y - 0.33 * s),
                (x + 0.3 * s, y - 0.5 * s),
                (x + 0.14 * s, y - 0.6 * s),
                (x - 0.02 * s, y - 0.5 * s),
            ]
        ),
    ]
    draw.polygon(wing, fill=(150, 160, 172))
    disc(draw, x - 0.16 * s, y - 0.78 * s, 0.14 * s, (250, 250, 247))
    draw.polygon(
        [(x - 0.27 * s, y - 0.83 * s), (x - 0.5 * s, y - 0.72 * s), (x - 0.27 * s, y - 0.72 * s)], fill=(232, 172, 52)
    )
    disc(draw, x - 0.2 * s, y - 0.81 * s, 0.025 * s, INK)


def blot(
    image: Image.Image, x: float, y: float, radius: float, flat: float, colour: Colour, alpha: int, blur: float
) -> None:
    """A soft, see-through disc: a cloud or a light."""
    lay(image, lambda draw: disc(draw, x, y, radius, 255, flat), colour, alpha, blur)


class Hull(NamedTuple):
    """A boat's side, bow to the right: the line of the rail and of the keel, both from stern to bow."""

    rail: list[Point]
    keel: list[Point]

    @classmethod
    def at(cls, x: float, y: float, length: float) -> Hull:
        """A hull whose stern's rail is at (`x`, `y`)."""
        rail = curve(
            [
                (x, y),
                (x + 0.35 * length, y + 0.13 * length),
                (x + 0.72 * length, y + 0.1 * length),
                (x + length, y - 0.08 * length),
            ]
        )
        keel = curve(
            [
                (x + 0.03 * length, y + 0.03 * length),
                (x + 0.06 * length, y + 0.36 * length),
                (x + 0.86 * length, y + 0.36 * length),
                (x + length, y - 0.08 * length),
            ]
        )
        return cls(rail, keel)

    def strake(self, top: float, bottom: float) -> list[Point]:
        """The strip of planking between two shares (0 rail, 1 keel) of the side's height."""

        def line(share: float) -> list[Point]:
            return [
                (a + (c - a) * share, b + (d - b) * share) for (a, b), (c, d) in zip(self.rail, self.keel, strict=True)
            ]

        return [*line(top), *reversed(line(bottom))]


# --- the pictures ----------------------------------------------------------------------------------------------------


def in_the_shed() -> Image.Image:
    """The boat as it was found: peeling, under a beam of light, with its gull."""
    x: float
    y: float
    rng = seeded(4)
    image = gradient([(0, (46, 34, 30)), (0.7, (94, 68, 50)), (1, (60, 44, 36))])
    draw = ImageDraw.Draw(image)
    for x in range(0, W, 74):
        tone = rng.randint(-9, 9)
        draw.rectangle((x, 0, x + 70, 900), fill=(84 + tone, 60 + tone, 46 + tone))
        draw.line([(x + 72, 0), (x + 72, 900)], fill=(38, 28, 26), width=4)
        for _ in range(3):
            y = rng.randint(0, 860)
            draw.line(
                [(x + rng.randint(8, 60), y), (x + rng.randint(8, 60), y + rng.randint(40, 160))],
                fill=(70, 50, 40),
                width=2,
            )
    draw.rectangle((0, 0, W, 66), fill=(44, 32, 30))
    draw.rectangle((1180, 150, 1430, 400), fill=(36, 28, 28))
    draw.rectangle((1196, 166, 1414, 384), fill=(250, 232, 178))
    draw.rectangle((1298, 166, 1312, 384), fill=(36, 28, 28))
    draw.rectangle((1196, 268, 1414, 282), fill=(36, 28, 28))
    draw.polygon([(0, 900), (W, 860), (W, H), (0, H)], fill=(78, 62, 50))
    lay(image, lambda d: d.polygon([(1196, 166), (1414, 384), (900, H), (120, H)], fill=255), (255, 226, 160), 84, 26)
    draw = ImageDraw.Draw(image)
    lay(image, lambda d: disc(d, 760, 1050, 640, 255, 0.1), (24, 18, 18), 170, 24)
    draw = ImageDraw.Draw(image)
    for x in (420, 1080):
        draw.polygon([(x - 150, 1070), (x + 150, 1070), (x + 110, 1010), (x - 110, 1010)], fill=(112, 80, 52))
        draw.polygon([(x - 120, 1030), (x - 90, 1030), (x - 130, 700), (x - 160, 700)], fill=(126, 92, 60))
        draw.polygon([(x + 120, 1030), (x + 90, 1030), (x + 130, 700), (x + 160, 700)], fill=(126, 92, 60))
    hull = Hull.at(150, 600, 1300)
    blues = [(58, 106, 150), (66, 116, 160), (54, 100, 144), (62, 112, 154), (50, 92, 134), (44, 82, 122)]
    for i, blue in enumerate(blues):
        strip = hull.strake(i / 6, (i + 1) / 6)
        draw.polygon(strip, fill=blue)
        draw.line(strip[:41], fill=mix(blue, INK, 0.5), width=5)
    mask = Image.new("L", (W, H), 0)
    ImageDraw.Draw(mask).polygon([*hull.rail, *reversed(hull.keel)], fill=255)
    peel = Image.new("RGBA", (W, H), (0, 0, 0, 0))
    peeler = ImageDraw.Draw(peel)
    for _ in range(70):
        x, y, size = rng.uniform(200, 1400), rng.uniform(620, 1010), rng.uniform(8, 44)
        reach = [size * rng.uniform(0.55, 1.2) for _ in range(13)]
        for colour, share in ((BARE, 1.1), ((206, 118, 60), 1.0), ((64, 128, 100), 0.72), ((150, 124, 96), 0.4)):
            outline = [
                (x + share * r * 1.8 * math.cos(n / 13 * math.tau), y + share * r * 0.5 * math.sin(n / 13 * math.tau))
                for n, r in enumerate(reach)
            ]
            if size > 30 or share > 0.8:
                peeler.polygon(outline, fill=(*colour, 255))
    image.paste(peel, (0, 0), Image.composite(peel.getchannel("A"), Image.new("L", (W, H), 0), mask))
    lay(image, lambda d: d.polygon(hull.strake(0.62, 1.0), fill=255), (16, 18, 34), 96, 20)
    draw = ImageDraw.Draw(image)
    draw.line(hull.rail, fill=(196, 152, 96), width=18)
    for x in range(300, 640, 14):
        sag = 40 * math.sin((x - 300) / 340 * math.pi)
        draw.line([(x, 655 - 18 * math.sin(x)), (x + 30, 700 + sag * 2.6)], fill=(120, 150, 128), width=4)
        draw.line([(x + 30, 655), (x, 700 + sag * 2.6)], fill=(100, 132, 112), width=4)
    gull(draw, 1010, 690, 190)
    return image


def plan() -> Image.Image:
    """Boat and shed from above, drawn by hand, with what lies where."""
    x: float
    y: float
    rng = seeded(2)
    image = Image.new("RGB", (W, H), PAPER)
    draw = ImageDraw.Draw(image)
    for x in range(0, W, 50):
        draw.line([(x, 0), (x, H)], fill=(226, 222, 208), width=2)
    for y in range(0, H, 50):
        draw.line([(0, y), (W, y)], fill=(226, 222, 208), width=2)

    def stroke(points: Iterable[Point], width: int = 6, colour: Colour = PENCIL) -> None:
        line = list(points)
        for again in range(2):
            shaken = [(x + rng.uniform(-3, 3), y + rng.uniform(-3, 3)) for x, y in line]
            draw.line(shaken, fill=mix(colour, PAPER, 0.35 * again), width=width, joint="curve")

    def straight(a: Point, b: Point, width: int = 6, colour: Colour = PENCIL) -> None:
        stroke([(a[0] + (b[0] - a[0]) * i / 12, a[1] + (b[1] - a[1]) * i / 12) for i in range(13)], width, colour)

    def label(x: float, y: float, text: str, size: int = 44, colour: Colour = PENCIL) -> None:
        draw.text((x, y), text, font=ImageFont.load_default(size), fill=colour, anchor="mm")

    corners = [(110.0, 190.0), (1490.0, 190.0), (1490.0, 1010.0), (110.0, 1010.0)]
    for a, b in zip(corners, [*corners[1:], corners[0]], strict=True):
        straight(a, b, 10)
    draw.rectangle((96, 470, 126, 730), fill=PAPER)
    straight((110, 470), (250, 400), 6)
    straight((110, 730), (250, 800), 6)
    label(290, 600, "doors", 38)
    side = curve([(430, 600), (520, 380), (980, 360), (1270, 600)])
    other = [(x, 1200 - y) for x, y in side]
    draw.polygon([*side, *reversed(other)], fill=(206, 224, 210))
    stroke(side, 8, GREEN)
    stroke(other, 8, GREEN)
    for inset in (0.72, 0.44):
        for line in (side, other):
            stroke([(x, 600 + (y - 600) * inset) for x, y in line], 3, (98, 138, 120))
    straight((430, 600), (1270, 600), 3, (98, 138, 120))
    for x in (600, 1040):
        straight((x, 482), (x, 718), 7)
    disc(draw, 900, 600, 22, (186, 120, 70))
    label(900, 654, "mast", 36)
    disc(draw, 1040, 560, 26, (222, 176, 60))
    label(1112, 560, "bell", 38)
    straight((498, 578), (542, 622), 9, (186, 62, 54))
    straight((498, 622), (542, 578), 9, (186, 62, 54))
    label(405, 450, "Gerald", 42, (186, 62, 54))
    straight((440, 482), (500, 572), 4, (186, 62, 54))
    for i, x in enumerate((640, 720, 800, 880)):
        draw.polygon(
            [(x, 752 - i * 2), (x + 66, 752 - i * 2), (x + 66, 776 - i * 2), (x, 776 - i * 2)], fill=(214, 140, 92)
        )
    label(770, 832, "4 bad planks", 40, (170, 92, 52))
    straight((170, 240), (560, 240))
    straight((560, 240), (560, 310))
    straight((560, 310), (170, 310))
    straight((170, 310), (170, 240))
    label(365, 276, "workbench", 38)
    straight((1230, 900), (1450, 900))
    straight((1230, 900), (1230, 970))
    label(1340, 940, "snacks", 38)
    straight((210, 850), (210, 890), 8, (186, 62, 54))
    straight((190, 868), (230, 868), 8, (186, 62, 54))
    label(330, 920, "mind the floor", 34, (186, 62, 54))
    for i in range(9):
        x, y = 700 + i * 60, 894 + 16 * math.sin(i)
        stroke(
            [(x + 26 * math.cos(a / 10 * math.tau), y + 18 * math.sin(a / 10 * math.tau)) for a in range(11)],
            3,
            (120, 130, 150),
        )
    label(940, 968, "nets, about a tonne", 36, (96, 106, 128))
    label(800, 104, "The boat in its shed", 66)
    straight((430, 1078), (1270, 1078), 5)
    for x in (430, 1270):
        straight((x, 1058), (x, 1098), 5)
    label(850, 1120, "7.2 m, give or take", 40)
    stroke(curve([(1380, 330), (1400, 290), (1400, 270), (1400, 240)]), 6)
    draw.polygon([(1400, 222), (1384, 258), (1416, 258)], fill=PENCIL)
    label(1440, 250, "N", 46)
    return image


def storm() -> Image.Image:
    """The sky over the estuary on the evening of the storm, and the shed with its light on."""
    x: float
    y: float
    rng = seeded(8)
    image = gradient(
        [
            (0, (34, 36, 58)),
            (0.38, (72, 70, 98)),
            (0.6, (176, 142, 134)),
            (0.64, (222, 178, 128)),
            (0.66, (90, 92, 104)),
            (1, (38, 46, 62)),
        ]
    )
    for _ in range(70):
        x, y = rng.uniform(-100, W + 100), rng.uniform(-60, 520)
        tone = mix((24, 26, 46), (120, 108, 132), rng.random() * (y + 100) / 640)
        size = rng.uniform(110, 300)
        blot(image, x, y, size, 0.34, tone, 130, 26)
    draw = ImageDraw.Draw(image)
    bolt = [(1130.0, 250.0), (1096.0, 390.0), (1136.0, 410.0), (1080.0, 560.0), (1112.0, 574.0), (1062.0, 770.0)]
    lay(image, lambda d: d.line(bolt, fill=255, width=30), (226, 220, 255), 170, 18)
    draw = ImageDraw.Draw(image)
    draw.line(bolt, fill=(255, 252, 240), width=7)
    ridge(draw, 782, 22, 5, (54, 54, 76))
    draw.rectangle((0, 796, W, H), fill=(52, 60, 76))
    for i in range(130):
        y = 806 + (i / 130) ** 1.5 * 380
        x = rng.uniform(-60, W)
        length = 40 + (y - 800) * 0.5
        tone = mix((52, 60, 76), (186, 158, 146), rng.random() * 0.62)
        draw.line(
            curve([(x, y), (x + length / 2, y - 12), (x + length, y)], 8), fill=tone, width=3 + int((y - 800) / 110)
        )
    draw.polygon([(0, 920), (420, 930), (700, 1010), (760, H), (0, H)], fill=(28, 30, 40))
    draw.polygon([(110, 760), (430, 760), (430, 960), (110, 960)], fill=(44, 38, 44))
    draw.polygon([(80, 772), (270, 640), (460, 772)], fill=(30, 28, 36))
    for x in range(118, 430, 26):
        draw.line([(x, 772), (x, 958)], fill=(36, 32, 38), width=3)
    lay(image, lambda d: disc(d, 300, 850, 150, 255), (255, 190, 90), 110, 50)
    draw = ImageDraw.Draw(image)
    draw.rectangle((262, 810, 338, 886), fill=(255, 212, 124))
    draw.line([(300, 810), (300, 886)], fill=(44, 38, 44), width=6)
    draw.line([(262, 848), (338, 848)], fill=(44, 38, 44), width=6)
    for _ in range(70):
        x, y = rng.uniform(0, 720), rng.uniform(960, 1180)
        draw.line(
            curve([(x, y + 60), (x + 14, y), (x + rng.uniform(50, 90), y - rng.uniform(30, 60))], 8),
            fill=(20, 24, 30),
            width=5,
        )
    for _ in range(240):
        x, y, length = rng.uniform(0, W + 200), rng.uniform(0, H), rng.uniform(40, 90)
        draw.line(
            [(x, y), (x - length * 0.5, y + length)], fill=mix((120, 124, 146), (176, 176, 190), rng.random()), width=2
        )
    return image


def stew() -> Image.Image:
    """A clay pot of fish stew on the workbench, from above."""
    x: float
    y: float
    rng = seeded(7)
    image = Image.new("RGB", (W, H), (150, 108, 72))
    draw = ImageDraw.Draw(image)
    for y in range(0, H, 150):
        tone = rng.randint(-10, 12)
        draw.rectangle((0, y, W, y + 144), fill=(158 + tone, 114 + tone, 76 + tone))
        draw.rectangle((0, y + 144, W, y + 150), fill=(92, 62, 44))
        for _ in range(9):
            start, at = rng.uniform(-100, W), y + rng.uniform(14, 130)
            draw.line(
                curve([(start, at), (start + 160, at + rng.uniform(-14, 14)), (start + 330, at)], 12),
                fill=(138 + tone, 96 + tone, 62 + tone),
                width=4,
            )
    lay(image, lambda d: disc(d, 830, 660, 500, 255), (40, 24, 18), 190, 34)
    draw = ImageDraw.Draw(image)
    for x in (285, 1315):
        disc(draw, x, 600, 92, (70, 44, 38), 1.25)
        disc(draw, x, 600, 46, (150, 108, 72), 1.25)
    for radius, colour in (
        (500, (62, 40, 36)),
        (486, (112, 70, 54)),
        (452, (74, 46, 38)),
        (436, (206, 112, 40)),
        (420, (226, 136, 52)),
    ):
        disc(draw, 800, 600, radius, colour)
    for _ in range(60):
        angle, reach = rng.uniform(0, math.tau), 400 * math.sqrt(rng.random())
        disc(
            draw,
            800 + reach * math.cos(angle),
            600 + reach * math.sin(angle),
            rng.uniform(12, 60),
            mix((226, 136, 52), rng.choice([(246, 186, 96), (204, 98, 36)]), 0.55),
            0.8,
        )

    def place(ring: float, count: int, shift: float) -> list[Point]:
        return [
            (
                800 + (ring + rng.uniform(-34, 34)) * math.cos(shift + i * math.tau / count),
                600 + (ring + rng.uniform(-34, 34)) * math.sin(shift + i * math.tau / count),
            )
            for i in range(count)
        ]

    for x, y in [*place(265, 6, 0.2), (800, 590)]:
        lean = rng.uniform(0, math.tau)
        piece = [
            (x + r * math.cos(lean + a), y + r * math.sin(lean + a) * 0.9)
            for a, r in zip((0, 0.9, 1.7, 2.9, 3.8, 5.2), (96, 82, 90, 100, 78, 92), strict=True)
        ]
        draw.polygon(piece, fill=(250, 232, 204))
        draw.line([*piece, piece[0]], fill=(226, 188, 142), width=7)
        for k in (-30, 0, 30):
            draw.line(curve([(x - 50, y + k), (x, y + k - 16), (x + 50, y + k)], 8), fill=(232, 204, 166), width=4)
    for n, (x, y) in enumerate([*place(345, 8, 0.6), *place(130, 3, 1.0)]):
        colour = [(206, 54, 44), (242, 190, 58), (206, 54, 44), (98, 142, 62)][n % 4]
        draw.ellipse((x - 58, y - 50, x + 58, y + 50), outline=colour, width=17)
        draw.ellipse((x - 54, y - 46, x + 50, y + 40), outline=mix(colour, (255, 255, 255), 0.35), width=4)
    for n, (x, y) in enumerate(place(210, 7, 0.75)):
        turn = rng.uniform(0, math.tau)
        for k in range(7):
            angle = turn + k * 0.56
            disc(
                draw,
                x + 44 * math.cos(angle),
                y + 44 * math.sin(angle),
                27 - 2.4 * k,
                mix((246, 140, 96), (252, 190, 150), (k + n) % 2 * 0.7),
            )
        angle = turn + 7 * 0.56
        tail = (x + 44 * math.cos(angle), y + 44 * math.sin(angle))
        draw.polygon(
            [
                tail,
                (tail[0] + 30 * math.cos(angle + 1.1), tail[1] + 30 * math.sin(angle + 1.1)),
                (tail[0] + 34 * math.cos(angle + 2), tail[1] + 34 * math.sin(angle + 2)),
            ],
            fill=(224, 88, 58),
        )
    for x, y in [*place(170, 12, 0), *place(330, 20, 0.3), *place(40, 4, 0)]:
        green = rng.choice([(66, 122, 52), (88, 150, 62), (52, 104, 48)])
        for _ in range(3):
            disc(draw, x + rng.uniform(-20, 20), y + rng.uniform(-16, 16), rng.uniform(9, 17), green)
    for x, y in ((150, 190), (1430, 1010)):
        disc(draw, x, y, 96, (232, 206, 66))
        disc(draw, x, y, 84, (250, 240, 182))
        for k in range(9):
            angle = k * math.tau / 9
            draw.polygon(
                [
                    (x, y),
                    (x + 74 * math.cos(angle), y + 74 * math.sin(angle)),
                    (x + 74 * math.cos(angle + 0.52), y + 74 * math.sin(angle + 0.52)),
                ],
                fill=(240, 220, 100),
            )
    lay(image, lambda d: d.arc((380, 180, 1220, 1020), 200, 255, fill=255, width=24), (255, 240, 200), 90, 12)
    return image


def lake() -> Image.Image:
    """The reservoir at dusk, with six people and a dog on the jetty."""
    x: float
    y: float
    rng = seeded(13)
    image = gradient(
        [
            (0, (44, 48, 98)),
            (0.28, (128, 84, 134)),
            (0.45, (232, 126, 104)),
            (0.55, (255, 206, 132)),
            (0.5501, (250, 190, 124)),
            (0.72, (172, 96, 118)),
            (1, (40, 40, 82)),
        ]
    )
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        disc(draw, rng.uniform(0, W), rng.uniform(0, 330), rng.choice([2, 2, 3]), (226, 214, 232))
    lay(image, lambda d: disc(d, 1040, 610, 260, 255), (255, 224, 150), 170, 80)
    draw = ImageDraw.Draw(image)
    disc(draw, 1040, 600, 84, (255, 240, 196))
    for k in range(5):
        y, x = 190 + k * 62, 180 + k * 330 % 1100
        blot(image, x, y, 280, 0.055, (252, 158, 138), 120, 14)
    draw = ImageDraw.Draw(image)
    for base, swing, seed, colour in (
        (600, 84, 3, (156, 92, 126)),
        (640, 56, 9, (110, 66, 108)),
        (664, 26, 21, (66, 46, 84)),
    ):
        hills = Image.new("RGB", (W, H))
        ridge(ImageDraw.Draw(hills), base, swing, seed, colour)
        shape = Image.new("L", (W, H), 0)
        shape.paste(hills.convert("L").point(lambda value: 255 if value else 0).crop((0, 0, W, 660)), (0, 0))
        image.paste(hills, (0, 0), shape)
        mirrored = shape.crop((0, 360, W, 660)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        faded = mirrored.point(lambda value: value * 5 // 10).filter(ImageFilter.GaussianBlur(6))
        image.paste(Image.new("RGB", mirrored.size, mix(colour, (120, 70, 110), 0.4)), (0, 660), faded)
    draw = ImageDraw.Draw(image)
    for k in range(70):
        y = 668 + (k / 70) ** 1.4 * 500
        spread = 40 + (y - 660) * 0.34
        x = 1040 + rng.uniform(-spread, spread)
        half = rng.uniform(16, 40 + (y - 660) * 0.16)
        draw.line(
            [(x - half, y), (x + half, y)],
            fill=mix((255, 226, 156), (230, 140, 120), rng.random()),
            width=4 + int((y - 660) / 140),
        )
    for _ in range(90):
        y = rng.uniform(680, 1190)
        x, half = rng.uniform(0, W), rng.uniform(30, 110)
        draw.line([(x - half, y), (x + half, y)], fill=mix((196, 110, 122), (70, 58, 100), (y - 660) / 540), width=3)
    dark = (30, 26, 48)
    draw.polygon([(0, 900), (900, 860), (900, 884), (0, 950)], fill=dark)
    for x in (90, 270, 450, 630, 810):
        draw.rectangle((x, 880, x + 20, 1070 - x * 0.08), fill=dark)
    for n, x in enumerate((250, 345, 430, 560, 640, 800)):
        foot = 905 - x * 0.044
        size = (104, 112, 96, 116, 100, 108)[n]
        draw.polygon(
            [
                (x - 30, foot),
                (x + 30, foot),
                *curve(
                    [
                        (x + 34, foot - size * 0.5),
                        (x + 20, foot - size * 0.85),
                        (x - 20, foot - size * 0.85),
                        (x - 34, foot - size * 0.5),
                    ],
                    10,
                ),
            ],
            fill=dark,
        )
        disc(draw, x, foot - size, 25, dark)
        if n in (0, 4):
            disc(draw, x + 8, foot - size - 24, 15, dark)
        if n == 2:
            disc(draw, x, foot - size - 6, 42, dark, 0.3)
    x, foot = 716, 874
    draw.polygon(
        [(x - 40, foot), *curve([(x - 42, foot - 46), (x - 20, foot - 70), (x + 14, foot - 74)], 8), (x + 24, foot)],
        fill=dark,
    )
    disc(draw, x + 20, foot - 82, 22, dark)
    draw.polygon([(x + 30, foot - 96), (x + 62, foot - 78), (x + 30, foot - 68)], fill=dark)
    draw.polygon([(x + 2, foot - 92), (x + 6, foot - 122), (x + 24, foot - 98)], fill=dark)
    for _ in range(40):
        x = rng.uniform(1230, W + 30)
        top = rng.uniform(820, 1040)
        draw.line(curve([(x, H), (x + 10, (top + H) / 2), (x + rng.uniform(-50, 50), top)], 10), fill=dark, width=7)
        if rng.random() < 0.4:
            draw.rounded_rectangle((x - 4, top - 60, x + 14, top + 26), 9, fill=dark)
    return image


def cake() -> Image.Image:
    """A cake that is a boat, if you look from the left, with candles, and a gull in a bow tie behind it."""
    x: float
    y: float
    rng = seeded(20)
    image = gradient([(0, (40, 26, 44)), (0.62, (92, 52, 54)), (0.66, (120, 72, 52)), (1, (74, 44, 40))])
    for _ in range(34):
        x, y, size = rng.uniform(0, W), rng.uniform(40, 620), rng.uniform(18, 52)
        tone = rng.choice([(255, 190, 110), (255, 150, 120), (250, 220, 160), (160, 190, 210)])
        blot(image, x, y, size, 1.0, tone, rng.randint(50, 120), 7)
    draw = ImageDraw.Draw(image)
    wire = curve([(0, 150), (500, 300), (1100, 290), (W, 120)], 60)
    draw.line(wire, fill=(30, 20, 34), width=5)
    for n, (x, y) in enumerate(wire[2::5]):
        draw.polygon(
            [(x - 44, y - 2), (x + 44, y + 2), (x, y + 84)],
            fill=[(222, 92, 70), CREAM, (64, 132, 106), (238, 178, 76), (96, 140, 176)][n % 5],
        )
    gull(draw, 1425, 806, 300)
    for side in (-44, 44):
        draw.polygon([(1376, 616), (1376 + side, 590), (1376 + side, 644)], fill=(190, 44, 54))
    disc(draw, 1376, 617, 13, (140, 26, 40))
    draw.polygon([(0, 790), (W, 790), (W, H), (0, H)], fill=(146, 92, 62))
    for y in (850, 930, 1030, 1140):
        draw.line([(0, y), (W, y)], fill=(124, 76, 52), width=5)
    lay(image, lambda d: disc(d, 760, 1070, 640, 255, 0.12), (40, 22, 20), 180, 20)
    draw = ImageDraw.Draw(image)
    disc(draw, 750, 1040, 640, (214, 214, 222), 0.115)
    disc(draw, 750, 1028, 640, (244, 244, 248), 0.115)
    hull = Hull.at(190, 740, 1130)
    base = [(x, min(y, 1000.0)) for x, y in hull.keel]
    loaf = Hull(hull.rail, base)
    draw.polygon([*loaf.rail, *reversed(loaf.keel)], fill=(48, 124, 94))
    draw.polygon(loaf.strake(0, 0.17), fill=CREAM)
    draw.polygon(loaf.strake(0.55, 0.66), fill=(120, 74, 50))
    draw.polygon(loaf.strake(0.66, 1.0), fill=(40, 108, 82))
    for x, y in loaf.strake(0.17, 0.2)[:41:2]:
        disc(draw, x, y + 3, 15, (252, 244, 224))
    top = [*loaf.rail, *curve([(1320, 650), (1100, 730), (500, 780), (190, 740)])]
    draw.polygon(top, fill=(250, 240, 214))
    draw.line(top, fill=(226, 206, 162), width=5)
    font = ImageFont.load_default(78)
    draw.text((690, 905), "VIVA!", font=font, fill=(252, 240, 208), anchor="mm")
    points = curve([(290, 760), (560, 812), (960, 802), (1230, 720)], 11)[:11]
    flames: list[Point] = []
    for n, (x, y) in enumerate(points):
        tall = 150 + 14 * math.sin(n * 2.1)
        colour = [(226, 92, 84), (250, 222, 130), (110, 160, 196)][n % 3]
        draw.rectangle((x - 11, y - tall, x + 11, y + 14), fill=colour)
        for k in range(0, int(tall), 36):
            draw.polygon(
                [(x - 11, y - k), (x + 11, y - k - 16), (x + 11, y - k - 28), (x - 11, y - k - 12)],
                fill=(252, 248, 240),
            )
        draw.line([(x, y - tall), (x, y - tall - 16)], fill=INK, width=4)
        flames.append((x, y - tall - 44))
    for x, y in flames:
        blot(image, x, y, 92, 1.0, (255, 196, 96), 100, 30)
    draw = ImageDraw.Draw(image)
    for x, y in flames:
        draw.polygon(
            [
                *curve([(x, y - 46), (x + 34, y + 10), (x + 12, y + 34), (x, y + 34)], 12),
                *curve([(x, y + 34), (x - 12, y + 34), (x - 34, y + 10), (x, y - 46)], 12),
            ],
            fill=(255, 190, 74),
        )
        draw.polygon(
            [
                *curve([(x, y - 14), (x + 16, y + 16), (x, y + 30)], 8),
                *curve([(x, y + 30), (x - 16, y + 16), (x, y - 14)], 8),
            ],
            fill=(255, 244, 196),
        )
    return image


def bell() -> Image.Image:
    """The bell, polished, back in its place on the bulkhead."""
    x: float
    y: float
    rng = seeded(54)
    image = Image.new("RGB", (W, H), GREEN)
    draw = ImageDraw.Draw(image)
    for x in range(0, W, 200):
        tone = rng.randint(-8, 8)
        draw.rectangle((x, 0, x + 192, H), fill=(40 + tone, 98 + tone, 78 + tone))
        draw.rectangle((x + 192, 0, x + 200, H), fill=(18, 54, 44))
        draw.line([(x + 4, 0), (x + 4, H)], fill=(66, 128, 106), width=4)
        for _ in range(5):
            start, at = rng.uniform(0, H), x + rng.uniform(20, 170)
            draw.line(
                [(at, start), (at + rng.uniform(-6, 6), start + rng.uniform(60, 260))],
                fill=(36 + tone, 90 + tone, 71 + tone),
                width=3,
            )
    lay(image, lambda d: d.polygon([(W, 0), (W, 760), (300, H), (0, H), (0, 980)], fill=255), (255, 236, 170), 52, 50)
    lay(image, lambda d: d.polygon([(730, 380), (1010, 380), (1130, 900), (690, 940)], fill=255), (8, 30, 26), 170, 34)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((660, 130, 900, 250), 18, fill=(112, 72, 44))
    draw.rounded_rectangle((666, 130, 900, 238), 18, fill=(146, 98, 60))
    for x in (700, 860):
        disc(draw, x, 184, 17, (206, 160, 66))
        draw.line([(x - 10, 178), (x + 10, 190)], fill=(112, 76, 30), width=5)
    draw.rounded_rectangle((756, 200, 804, 316), 14, fill=(176, 126, 48))
    draw.rounded_rectangle((756, 200, 792, 308), 14, fill=(214, 168, 74))
    draw.arc((724, 268, 836, 390), 170, 370, fill=(206, 160, 66), width=24)
    left = curve([(712, 400), (640, 430), (660, 700), (520, 830)], 80)

    def half_width(y: float) -> float:
        return 780 - min(left, key=lambda point: abs(point[1] - y))[0]

    body = Image.new("RGB", (W, H))
    brush = ImageDraw.Draw(body)
    shape = Image.new("L", (W, H), 0)
    ImageDraw.Draw(shape).polygon([*left, *[(1560 - x, y) for x, y in reversed(left)]], fill=255)
    ImageDraw.Draw(shape).ellipse((700, 352, 860, 470), fill=255)
    tones = [
        (0.0, (92, 58, 22)),
        (0.16, (176, 122, 44)),
        (0.3, (252, 226, 140)),
        (0.38, (255, 248, 208)),
        (0.48, (232, 182, 78)),
        (0.72, (168, 112, 40)),
        (0.9, (110, 70, 28)),
        (1.0, (160, 116, 58)),
    ]
    for y in range(340, 850):
        half = max(half_width(y), 84.0)
        for step in range(64):
            at = step / 64
            for (low, first), (high, second) in pairwise(tones):
                if low <= at <= high:
                    brush.rectangle(
                        (780 - half + 2 * half * at, y, 780 - half + 2 * half * (at + 1 / 64) + 1, y),
                        fill=mix(first, second, (at - low) / (high - low)),
                    )
    image.paste(body, (0, 0), shape)
    draw = ImageDraw.Draw(image)
    draw.ellipse((512, 796, 1048, 872), fill=(120, 78, 30))
    draw.ellipse((512, 788, 1048, 862), fill=(226, 178, 80))
    draw.ellipse((540, 800, 1020, 858), fill=(58, 36, 20))
    disc(draw, 790, 862, 42, (148, 104, 44))
    disc(draw, 780, 852, 16, (232, 190, 100))
    rope = curve([(790, 890), (770, 960), (820, 1010), (796, 1090)], 60)
    for n, (x, y) in enumerate(rope):
        disc(draw, x, y, 15, [(232, 218, 184), (206, 186, 146)][n // 2 % 2])
    disc(draw, 796, 1106, 32, (222, 204, 166))
    for k in range(14):
        draw.line([(796 + (k - 7) * 3, 1120), (796 + (k - 7) * 6, 1176)], fill=(222, 204, 166), width=5)
    for line in (0.34, 0.42):
        y = 400 + line * 430
        half = half_width(y)
        draw.arc((780 - half, y - 22, 780 + half, y + 22), 8, 172, fill=(120, 78, 30), width=5)
    lay(
        image,
        lambda d: d.polygon(
            curve([(690, 460), (676, 600), (676, 680), (612, 790)], 30)
            + curve([(640, 790), (712, 680), (704, 600), (706, 460)], 30),
            fill=255,
        ),
        (255, 252, 230),
        150,
        8,
    )
    draw = ImageDraw.Draw(image)
    for x, y, size in ((668, 520, 46), (880, 812, 30)):
        draw.polygon(
            [
                (x, y - size),
                (x + size * 0.14, y - size * 0.14),
                (x + size, y),
                (x + size * 0.14, y + size * 0.14),
                (x, y + size),
                (x - size * 0.14, y + size * 0.14),
                (x - size, y),
                (x - size * 0.14, y - size * 0.14),
            ],
            fill=(255, 255, 244),
        )
    return image


def afloat() -> Image.Image:
    """The launch: the boat under sail, the village behind, the gull overhead, one person in the water's edge."""
    x: float
    y: float
    rng = seeded(11)
    image = gradient(
        [
            (0, (92, 164, 206)),
            (0.4, (176, 214, 220)),
            (0.56, (246, 230, 190)),
            (0.5601, (110, 172, 176)),
            (0.75, (58, 128, 144)),
            (1, (26, 84, 108)),
        ]
    )
    for x, y, size in ((280, 170, 150), (420, 190, 190), (560, 180, 120), (1240, 110, 130), (1370, 124, 170)):
        blot(image, x, y, size, 0.26, (255, 255, 250), 200, 16)
    draw = ImageDraw.Draw(image)
    ridge(draw, 560, 46, 12, (148, 178, 160))
    ridge(draw, 604, 30, 31, (112, 152, 122))
    for _ in range(26):
        x = rng.uniform(20, W - 60)
        wide, tall = rng.uniform(44, 82), rng.uniform(40, 74)
        base = 662 - abs(x - 500) * 0.01
        draw.rectangle(
            (x, base - tall, x + wide, base), fill=rng.choice([(250, 248, 240), (246, 238, 222), (240, 244, 244)])
        )
        draw.polygon(
            [(x - 8, base - tall), (x + wide / 2, base - tall - 26), (x + wide + 8, base - tall)],
            fill=rng.choice([(204, 110, 78), (190, 96, 70), (214, 124, 88)]),
        )
        draw.rectangle(
            (x + wide * 0.36, base - tall * 0.55, x + wide * 0.62, base),
            fill=rng.choice([(64, 110, 160), (70, 130, 108), (120, 96, 80)]),
        )
    image.paste(
        gradient([(0, (26, 84, 108)), (0.55, (132, 188, 186)), (0.7, (84, 152, 162)), (1, (24, 80, 106))]).crop(
            (0, 660, W, H)
        ),
        (0, 660),
    )
    draw = ImageDraw.Draw(image)
    for _ in range(150):
        y = 668 + rng.random() ** 1.4 * 520
        x, half = rng.uniform(-40, W), 14 + (y - 660) * 0.16
        draw.line(
            curve([(x - half, y), (x, y - half * 0.2), (x + half, y)], 8),
            fill=mix((200, 228, 220), (50, 118, 138), rng.random()),
            width=3 + int((y - 660) / 150),
        )
    hull = Hull.at(330, 780, 860)
    lay(
        image,
        lambda d: d.polygon([(380, 960), (1130, 960), (1040, 1130), (480, 1130)], fill=255),
        (18, 66, 66),
        150,
        22,
    )
    lay(
        image, lambda d: d.polygon([(560, 990), (1000, 990), (880, 1180), (640, 1180)], fill=255), (150, 84, 62), 90, 26
    )
    draw = ImageDraw.Draw(image)
    draw.polygon([(796, 150), (812, 150), (820, 880), (792, 880)], fill=(178, 128, 80))
    sail = [
        *curve([(470, 330), (640, 220), (800, 150), (1000, 84)], 20),
        *curve([(1000, 84), (1080, 330), (1050, 560), (1130, 740)], 24),
        *curve([(1130, 740), (900, 800), (700, 790), (540, 766)], 20),
        *curve([(540, 766), (500, 620), (500, 480), (470, 330)], 20),
    ]
    draw.polygon(sail, fill=SAIL)
    lay(
        image,
        lambda d: d.polygon(
            [
                *curve([(830, 190), (950, 130)], 2),
                *curve([(950, 130), (1030, 330), (1000, 560), (1060, 700)], 24),
                *curve([(1060, 700), (950, 600), (880, 400), (830, 190)], 20),
            ],
            fill=255,
        ),
        (208, 120, 82),
        120,
        20,
    )
    draw = ImageDraw.Draw(image)
    for share in (0.25, 0.5, 0.75):
        a = (470 + (1000 - 470) * share, 330 - (330 - 84) * share)
        b = (540 + (1130 - 540) * share, 778 - 30 * share)
        draw.line(curve([a, ((a[0] + b[0]) / 2 + 26, (a[1] + b[1]) / 2), b], 20), fill=(132, 58, 40), width=4)
    draw.polygon([(590, 690), (690, 672), (704, 752), (600, 764)], fill=(196, 116, 84))
    draw.line([(452, 344), (1016, 78)], fill=(150, 102, 62), width=15)
    draw.line([(1186, 712), (1130, 740)], fill=(236, 224, 190), width=4)
    flag = curve([(804, 150), (760, 120), (730, 150), (690, 128)], 14)
    draw.polygon([*flag, *[(x, y + 40) for x, y in reversed(flag)]], fill=CREAM)
    for n, x in enumerate((470, 560, 650, 930, 1010)):
        shirt = [(230, 180, 76), (222, 96, 80), (84, 124, 176), (238, 232, 214), (120, 92, 140)][n]
        y = 826 + 30 * math.sin((x - 330) / 860 * math.pi)
        draw.rounded_rectangle((x - 30, y - 70, x + 30, y + 30), 24, fill=shirt)
        disc(draw, x, y - 92, 24, [(172, 118, 86), (226, 180, 146), (120, 80, 60), (236, 196, 166), (196, 146, 112)][n])
        disc(draw, x, y - 104, 24, [(52, 36, 34), (128, 74, 44), (30, 26, 30), (214, 182, 112), (80, 54, 44)][n], 0.6)
    waterline = 975.0
    wet = Hull(hull.rail, [(x, min(y, waterline)) for x, y in hull.keel])
    draw.polygon([*wet.rail, *reversed(wet.keel)], fill=GREEN)
    draw.polygon(wet.strake(0.08, 0.2), fill=CREAM)
    for share in (0.42, 0.62, 0.82):
        draw.line(wet.strake(share, share)[:41], fill=(20, 66, 52), width=4)
    lay(image, lambda d: d.polygon(wet.strake(0.2, 0.5), fill=255), (90, 158, 128), 90, 14)
    draw = ImageDraw.Draw(image)
    draw.line(wet.rail, fill=(198, 150, 92), width=16)
    draw.text((500, 905), "TARTARUGA", font=ImageFont.load_default(46), fill=CREAM, anchor="lm")
    for k in range(40):
        x = 350 + k * 20.5
        draw.line(curve([(x - 26, 978), (x, 964 + 6 * math.sin(k)), (x + 26, 978)], 6), fill=(226, 240, 236), width=6)
    for side, reach in ((1170, 130), (1190, 80)):
        draw.line(curve([(side - 40, 976), (side + 10, 958), (side + reach, 990)], 12), fill=(232, 244, 240), width=7)
    x, y = 1290.0, 330.0
    for sign in (-1, 1):
        draw.polygon(
            [
                *curve([(x, y), (x + sign * 60, y - 90), (x + sign * 150, y - 40)], 14),
                *curve([(x + sign * 150, y - 40), (x + sign * 70, y - 40), (x, y + 26)], 14),
            ],
            fill=(246, 248, 246),
        )
        disc(draw, x + sign * 138, y - 44, 12, (70, 76, 88), 0.6)
    disc(draw, x, y + 12, 44, (252, 252, 250), 0.5)
    disc(draw, x - 46, y + 2, 20, (252, 252, 250))
    draw.polygon([(x - 62, y - 6), (x - 90, y + 8), (x - 60, y + 12)], fill=(236, 176, 54))
    disc(draw, x - 52, y - 3, 4, INK)
    disc(draw, x + 26, y + 34, 11, (46, 132, 96))
    return image


# --- members ---------------------------------------------------------------------------------------------------------


class Picture(NamedTuple):
    """How a picture is drawn and what its metadata gives away: who, with what, where and when."""

    paint: Callable[[], Image.Image]
    artist: str
    camera: str
    latitude: float
    longitude: float
    taken: str


PICTURES = {
    "IMG-20240309-WA0004.jpg": Picture(
        in_the_shed, "Bia Quintaneiro", "Lontra 5", 38.4866, -8.7405, "2024:03:09 11:53:40"
    ),
    "IMG-20240310-WA0002.jpg": Picture(plan, "Nora Kettleby", "Heron Phone 2", 38.5244, -8.8882, "2024:03:10 11:18:02"),
    "IMG-20240316-WA0007.jpg": Picture(stew, "Thiago Bragamonte", "Lontra 3", 38.4866, -8.7405, "2024:03:16 13:20:11"),
    "IMG-20240327-WA0011.jpg": Picture(storm, "Thiago Bragamonte", "Lontra 3", 38.4867, -8.7403, "2024:03:27 17:30:05"),
    "IMG-20240413-WA0009.jpg": Picture(lake, "Bia Quintaneiro", "Lontra 5", 39.2105, -7.9411, "2024:04:13 19:44:50"),
    "IMG-20240420-WA0015.jpg": Picture(cake, "Bia Quintaneiro", "Lontra 5", 38.4866, -8.7405, "2024:04:20 17:41:33"),
    "IMG-20240504-WA0003.jpg": Picture(bell, "Bia Quintaneiro", "Lontra 5", 38.4866, -8.7405, "2024:05:04 11:19:27"),
    "IMG-20240511-WA0021.jpg": Picture(afloat, "Bia Quintaneiro", "Lontra 5", 38.4859, -8.7398, "2024:05:11 17:03:58"),
}
"""Member name → picture, as the chat names them."""

DOCUMENT = "Turtle kitty March - Nora Kettleby.pdf"
CONTACT_CARD = "Domingos Estaleiro.vcf"


def _jpeg(picture: Picture) -> bytes:
    """The picture as a camera phone would save it, with all its metadata."""
    exif = Image.Exif()
    exif[0x010E] = "Turtle Crew"  # ImageDescription
    exif[0x010F] = "Estuary Telephones"  # Make
    exif[0x0110] = picture.camera  # Model
    exif[0x0132] = picture.taken  # DateTime
    exif[0x013B] = picture.artist  # Artist
    exif.get_ifd(0x8769)[0x9003] = picture.taken  # DateTimeOriginal
    exif.get_ifd(0x8825).update(
        {
            1: "N" if picture.latitude >= 0 else "S",
            2: _sexagesimal(picture.latitude),
            3: "E" if picture.longitude >= 0 else "W",
            4: _sexagesimal(picture.longitude),
        }
    )
    image = picture.paint().resize(SIZE, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80, optimize=True, exif=exif)
    return out.getvalue()


def _sexagesimal(angle: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    """Degrees, minutes and hundredths of seconds, as EXIF keeps them."""
    hundredths = round(abs(angle) * 360_000)
    return (
        IFDRational(hundredths // 360_000),
        IFDRational(hundredths % 360_000 // 6_000),
        IFDRational(hundredths % 6_000, 100),
    )


def _pdf() -> bytes:
    """The kitty's statement: two pages of text, and an author in the metadata."""
    pages = (
        (
            "Turtle kitty, March",
            "Paid in: 7 x 60.00 = 420.00, and 120.00 from the tin",
            "Sandpaper, masks, blades: 61.70",
            "Tiles (9): 36.00",
            "Tarp and straps: 30.30",
            "Left: 412.00",
        ),
        (
            "Turtle kitty, March: sandpaper",
            "Grit 40: 11 sheets",
            "Grit 60: 14 sheets",
            "Grit 80: 19 sheets",
            "Grit 120: 8 sheets",
            "Found in Callum's pocket: 2 sheets",
        ),
    )
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [5 0 R 7 0 R] /Count 2 >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Title (Turtle kitty March) /Author (Nora Kettleby) /Creator (A sheet, in pen) >>",
    ]
    for number, lines in enumerate(pages):
        shown = " ".join(f"({line}) Tj T*" for line in lines)
        text = f"BT /F1 14 Tf 72 770 Td 24 TL {shown} ET".encode("ascii")
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            + f"/Contents {6 + 2 * number} 0 R >>".encode()
        )
        objects.append(f"<< /Length {len(text)} >>\nstream\n".encode() + text + b"\nendstream")
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    table = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010d} 00000 n \n".encode() for offset in offsets)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info 4 0 R >>\nstartxref\n{table}\n%%EOF\n".encode()
    return bytes(out)


def _vcard() -> bytes:
    """The yard keeper's contact card."""
    lines = (
        "BEGIN:VCARD",
        "VERSION:3.0",
        "N:;Domingos Estaleiro;;;",
        "FN:Domingos Estaleiro",
        "TEL;type=WORK:+351 265 000 187",
        "EMAIL:domingos.estaleiro@example.com",
        "END:VCARD",
    )
    return "".join(f"{line}\r\n" for line in lines).encode()


def build(path: Path) -> None:
    """Write the export to `path`: members sorted by name, all of the same date."""
    members = {name: _jpeg(picture) for name, picture in PICTURES.items()}
    members[f"WhatsApp Chat with {GROUP_TITLE}.txt"] = CHAT.read_bytes()
    members[DOCUMENT] = _pdf()
    members[CONTACT_CARD] = _vcard()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in sorted(members.items()):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(".jpg") else zipfile.ZIP_DEFLATED
            archive.writestr(entry, content, compresslevel=None if name.endswith(".jpg") else 9)


if __name__ == "__main__":
    build(EXPORT)
