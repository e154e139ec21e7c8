"""What many containers cost at least, some at the same time: the calls of the docker SDK and nothing around them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import docker

LIMITS = {"init": True, "read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
LIMITS |= {"user": "65534:65534", "pids_limit": 512, "tmpfs": {"/tmp": "size=1g"}, "network_disabled": True}


class Many:
    def __init__(self, url, image, command, parallel):
        self.client = docker.DockerClient(base_url=url, version="auto", max_pool_size=4 * parallel)
        self.image, self.command, self.parallel = image, command, parallel

    def run(self, places):
        with ThreadPoolExecutor(self.parallel) as pool:
            list(pool.map(self.one, places))

    def one(self, folders):
        mounts = [docker.types.Mount(target, source, type="bind", read_only=ro) for source, target, ro in folders]
        log = docker.types.LogConfig(type="none")
        container = self.client.containers.create(
            self.image, self.command, mounts=mounts, working_dir="/app/program", log_config=log, **LIMITS
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
