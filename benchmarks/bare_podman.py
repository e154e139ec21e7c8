"""What two steps cost at least: the calls of the podman SDK and nothing around them."""

import podman


class TwoSteps:
    def __init__(self, url, image, steps):
        self.client = podman.PodmanClient(base_url=url)
        self.image, self.steps = image, steps

    def run(self):
        for command, folders in self.steps:
            self.step(command, folders)

    def step(self, command, folders):
        mounts = [{"type": "bind", "source": source, "target": target} for source, target in folders.items()]
        container = self.client.containers.create(
            self.image, command, mounts=mounts, working_dir="/app/program", network_mode="none"
        )
        container.start()
        code = container.wait(interval="10ms")
        list(container.logs(stream=False))  # the SDK cannot attach
        container.remove()
        if code:
            raise RuntimeError(f"{command} ended with {code}")
