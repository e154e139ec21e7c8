"""Looks at nothing but how dark a stone is: a rune of many strokes takes more ink."""


def darkness(stone):
    return sum(row.count("#") for row in stone)


class Reader:
    def learn(self, stones, names):
        found = {}
        for stone, name in zip(stones, names):
            found.setdefault(name, []).append(darkness(stone))
        self.usual = {name: sum(values) / len(values) for name, values in found.items()}

    def read(self, stone):
        return min(sorted(self.usual), key=lambda name: abs(self.usual[name] - darkness(stone)))
