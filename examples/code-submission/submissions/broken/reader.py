class Reader:
    def learn(self, stones, names):
        self.known = {"\n".join(stone): name for stone, name in zip(stones, names)}

    def read(self, stone):
        return self.known["\n".join(stone)]
