"""Bytes that were damaged by chance, the same again for the same seed."""

import random

INTERESTING = (0, 1, 2, 4, 8, 127, 128, 255, 254)


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Change a few bytes, or lengths, or where pieces lie."""
    found = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at = chance.randrange(len(found)) if found else 0
        size = chance.choice((1, 1, 2, 4, 16, 100))
        way = chance.randrange(8)
        if way == 0 and found:
            found[at] ^= 1 << chance.randrange(8)
        elif way == 1 and found:
            found[at] = chance.choice(INTERESTING)
        elif way == 2:
            found[at:at] = chance.randbytes(size)
        elif way == 3:
            del found[at : at + size]
        elif way == 4:
            found[at : at + size] = chance.randbytes(size)
        elif way == 5:
            found[at:at] = found[at : at + size]
        elif way == 6:
            found[at : at + 4] = chance.choice(
                (b"\xff" * 4, bytes(4), b"\0\0\0\xff", b"\xff\0\0\0")
            )
        else:
            del found[at:]
    return bytes(found)
