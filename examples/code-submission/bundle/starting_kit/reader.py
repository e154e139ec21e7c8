class Reader:
    def learn(self, stones, names):
        pass

    def read(self, stone):
        return "fehu"
