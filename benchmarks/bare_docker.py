"""What two steps cost at least: the calls of the docker SDK and nothing around them."""

import threading

import docker


class TwoSteps:
    def __init__(self, url, image, steps):
        self.client = docker.DockerClient(base_url=url, version="auto", max_pool_size=16)
        self.image, self.steps = image, steps

    def run(self):
        for command, folders in self.steps:
            self.step(command, folders)

    def step(self, command, folders):
        mounts = [docker.types.Mount(target, source, type="bind") for source, target in folders.items()]
        container = self.client.containers.create(
            self.image, command, mounts=mounts, working_dir="/app/program", network_disabled=True
        )
        output = container.attach(stream=True, logs=False, demux=True)
        reader = threading.Thread(target=lambda: list(output))
        reader.start()
        container.start()
        code = container.wait()["StatusCode"]
        reader.join()
        container.remove()
        if code:
            raise RuntimeError(f"{command} ended with {code}")
