"""Draw pictures that an ImageNet classifier recognises upright. They may be shown where photos may not."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFilter

SIDE = 512
Colour = tuple[int, int, int]
RED, WHITE, BROWN = (200, 40, 40), (245, 245, 245), (90, 60, 40)


def canvas(top: Colour = (140, 190, 235), bottom: Colour = (225, 235, 245)) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Make a sky that goes from one colour to another."""
    image = Image.new("RGB", (SIDE, SIDE))
    draw = ImageDraw.Draw(image)
    for y in range(SIDE):
        shade = tuple(round(one + (other - one) * y / SIDE) for one, other in zip(top, bottom, strict=True))
        draw.line([(0, y), (SIDE, y)], fill=shade)
    return image, draw


def umbrella() -> Image.Image:
    """Draw an open umbrella, with its handle below."""
    image, draw = canvas()
    draw.line([256, 140, 256, 440], fill=BROWN, width=12)
    draw.arc([206, 400, 262, 470], 0, 180, fill=BROWN, width=12)
    for k in range(6):
        draw.pieslice([66, 70, 446, 450], 180 + k * 30, 210 + k * 30, fill=((200, 30, 50), (220, 60, 70))[k % 2])
    for k in range(6):
        draw.ellipse([66 + k * 63.3, 238, 66 + (k + 1) * 63.3, 285], fill=(205, 222, 240))
    draw.line([256, 50, 256, 75], fill=BROWN, width=10)
    return image


def balloon() -> Image.Image:
    """Draw a balloon that carries a basket."""
    image, draw = canvas((90, 150, 220), (190, 220, 245))
    for k in range(5):
        width, colour = 190 - k * 42, ((220, 40, 40), (250, 200, 40), (40, 90, 190))[k % 3]
        draw.ellipse([256 - width, 40, 256 + width, 380], fill=colour)
    draw.polygon([(150, 320), (362, 320), (286, 420), (226, 420)], fill=(200, 60, 40))
    for x, shift in ((226, 10), (286, -10)):
        draw.line([x, 420, x + shift, 450], fill=(60, 40, 20), width=3)
    draw.rectangle([232, 448, 280, 490], fill=(130, 85, 40))
    return image


def lighthouse() -> Image.Image:
    """Draw a striped tower on a meadow."""
    image, draw = canvas()
    draw.rectangle([0, 430, SIDE, SIDE], fill=(70, 110, 70))
    draw.polygon([(206, 440), (306, 440), (284, 150), (228, 150)], fill=WHITE)
    for k in range(3):
        y, left, right = 400 - k * 100, 211 + k * 7, 301 - k * 7
        draw.polygon([(left, y), (right, y), (right - 4, y - 50), (left + 4, y - 50)], fill=RED)
    draw.rectangle([216, 140, 296, 152], fill=(40, 40, 40))
    draw.rectangle([232, 95, 280, 140], fill=(250, 230, 150))
    draw.polygon([(222, 95), (290, 95), (256, 55)], fill=(180, 30, 30))
    return image


def mug() -> Image.Image:
    """Draw a mug of coffee on a table."""
    image, draw = canvas((215, 205, 190), (180, 150, 120))
    china = (235, 235, 240)
    draw.rectangle([0, 380, SIDE, SIDE], fill=(140, 95, 60))
    draw.ellipse([310, 180, 430, 340], outline=(230, 230, 235), width=26)
    draw.rectangle([140, 140, 360, 390], fill=china)
    draw.ellipse([140, 360, 360, 420], fill=china)
    draw.ellipse([140, 110, 360, 170], fill=(210, 210, 215))
    draw.ellipse([155, 118, 345, 164], fill=(80, 45, 25))
    return image


PICTURES: dict[str, Callable[[], Image.Image]] = {
    "umbrella": umbrella,
    "balloon": balloon,
    "lighthouse": lighthouse,
    "coffee mug": mug,
}


def pictures() -> dict[str, Image.Image]:
    """Return all pictures, by the class that they show."""
    return {name: draw().filter(ImageFilter.GaussianBlur(1)) for name, draw in PICTURES.items()}
