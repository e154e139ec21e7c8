"""Asks the most similar known stones, after trying to shift each a little in every direction."""

SIZE = 12
EDGE = 2  # how far a stone may be shifted to the side
WIDE = SIZE + 2 * EDGE


def pack(stone, down, right):
    """All cells as the bits of one number, on a field with a margin, shifted: comparing two stones is one XOR."""
    bits = 0
    for y, row in enumerate(clean(stone)):
        for x, cell in enumerate(row):
            if cell == "#":
                bits |= 1 << ((y + EDGE + down) * WIDE + x + EDGE + right)
    return bits


def clean(stone):
    """Dark specks without a dark neighbour are lichen, not carving."""

    def lonely(y, x):
        around = [(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
        return not any(0 <= a < SIZE and 0 <= b < SIZE and stone[a][b] == "#" for a, b in around)

    return [
        "".join("." if cell == "#" and lonely(y, x) else cell for x, cell in enumerate(row))
        for y, row in enumerate(stone)
    ]


class Reader:
    def learn(self, stones, names):
        self.known = [(pack(stone, 0, 0), name) for stone, name in zip(stones, names)]

    def read(self, stone):
        shifted = [pack(stone, down, right) for down in (-1, 0, 1) for right in range(-EDGE, EDGE + 1)]
        near = sorted((min(bin(k ^ s).count("1") for s in shifted), name) for k, name in self.known)[:5]
        votes = {}
        for distance, name in near:
            votes[name] = votes.get(name, 0) + 1 / (1 + distance)
        return max(sorted(votes), key=votes.get)
