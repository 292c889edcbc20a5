"""Shows grey, then a second of black, then grey; prints when black began and ended."""

from __future__ import annotations

import sys
import time

import pygame

BLACK_S = 1.0
GREY, BLACK = (120, 120, 120), (0, 0, 0)


def show(screen: pygame.Surface, colour: tuple[int, int, int], seconds: float) -> int:
    """Hold a colour; gives from when on it could be seen."""
    screen.fill(colour)
    shown_ns = time.monotonic_ns()
    pygame.display.flip()
    pygame.time.wait(round(seconds * 1000))
    return shown_ns


pygame.display.init()
window = pygame.display.set_mode([int(side) for side in sys.argv[1].split("x")])
show(window, GREY, BLACK_S / 2)
print(show(window, BLACK, BLACK_S), flush=True)
print(show(window, GREY, 0), flush=True)
pygame.time.wait(600_000)
