"""A submission to begin with: it answers what it has seen most often."""


class Model:
    def fit(self, grains, names):
        self.answer = max(sorted(set(names)), key=names.count)

    def predict(self, grains):
        return [self.answer for _ in grains]
