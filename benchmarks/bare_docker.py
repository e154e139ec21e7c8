"""What two steps cost at least: the calls of the docker SDK and nothing around them."""

import threading
from concurrent.futures import ThreadPoolExecutor

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


class Many:
    """What many containers cost at least, some at the same time: the calls of the docker SDK, nothing around them."""

    def __init__(self, url, image, command, parallel):
        self.client = docker.DockerClient(base_url=url, version="auto", max_pool_size=4 * parallel)
        self.image, self.command, self.parallel = image, command, parallel

    def run(self, places):
        """One container for each; a place is (folder, where it is mounted, read-only) for each of its folders."""
        with ThreadPoolExecutor(self.parallel) as pool:
            list(pool.map(self.one, places))

    def one(self, folders):
        mounts = [docker.types.Mount(target, source, type="bind", read_only=ro) for source, target, ro in folders]
        container = self.client.containers.create(
            self.image,
            self.command,
            mounts=mounts,
            working_dir="/app/program",
            network_disabled=True,
            init=True,
            read_only=True,
            tmpfs={"/tmp": "size=1g"},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            user="65534:65534",
            pids_limit=512,
            log_config=docker.types.LogConfig(type="none"),
        )
        output = container.attach(stream=True, logs=False, demux=True)
        reader = threading.Thread(target=lambda: list(output))
        reader.start()
        container.start()
        code = container.wait()["StatusCode"]
        reader.join()
        container.remove()
        if code:
            raise RuntimeError(f"{self.command} ended with {code}")
