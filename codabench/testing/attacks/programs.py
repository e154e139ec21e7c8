"""What hostile programs do. Each runs with Python's standard library alone and sets ``broke_out``."""

from __future__ import annotations

from codabench.core.policy import MIB

NETWORK = """
import socket
own = {line.split(':')[0].strip() for line in open('/proc/net/dev').readlines()[2:]}
broke_out = bool(own - {'lo', 'tunl0', 'sit0', 'ip6tnl0', 'gre0', 'gretap0', 'erspan0', 'ip_vti0', 'ip6_vti0'})
"""

MEMORY = f"x = bytearray({200 * MIB}); x[::4096] = b'x' * len(x[::4096]); broke_out = True"

PIDS = """
import os, time
made = []
try:
    for _ in range(80):
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        made.append(pid)
    broke_out = True
except OSError:
    broke_out = False
for pid in made: os.kill(pid, 9)
"""

ROOT = """
import os
broke_out = False
for place in ('/', '/usr', '/etc', '/var'):
    try:
        with open(os.path.join(place, 'was-here'), 'w') as file: broke_out = bool(file.write('x'))
        os.unlink(os.path.join(place, 'was-here'))
    except OSError: pass
"""

PRIVILEGES = """
import ctypes, glob, os, subprocess
if os.geteuid() == 0:  # nothing to gain by a setuid file: ask the kernel whether it would have been honoured
    broke_out = ctypes.CDLL(None).prctl(39, 0, 0, 0, 0) == 0
else:
    shells = glob.glob('/usr/bin/setuid-*') or ['/bin/su']
    said = [subprocess.run([s, '-p', '-c', 'echo $EUID'], capture_output=True, text=True).stdout for s in shells]
    broke_out = any(each.strip() == '0' for each in said)
"""

CAPABILITIES = """
import os, socket
tried = {
    'chown': lambda: os.chown(own, 12345, 12345), 'setuid': lambda: os.setuid(12345),
    'mknod': lambda: os.mknod('/tmp/disk', 0o60600, os.makedev(8, 0)), 'chroot': lambda: os.chroot('/tmp'),
    'raw socket': lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1), 'nice': lambda: os.nice(-5),
    'host name': lambda: socket.sethostname('mine'),
}
own = '/tmp/own'
open(own, 'w').close()
done = []
for name, attempt in tried.items():
    try:
        attempt()
        done.append(name)
    except OSError: pass
broke_out = bool(done)
"""

FILL_MEMORY_DISKS = """
filled = []
for place in ('/tmp/x', '/dev/shm/x'):
    try:
        with open(place, 'wb') as file:
            for _ in range(12): file.write(bytes(1 << 20))
        filled.append(place)
    except OSError: pass
broke_out = ', '.join(filled)
"""

SLEEP = "import time\nprint('begun', flush=True)\ntime.sleep(4)\nbroke_out = 'it went on after its limit'\n"

IGNORE = """
import signal, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM): signal.signal(number, signal.SIG_IGN)
print('begun', flush=True)
end = time.time() + 4
while time.time() < end: time.sleep(0.1)
broke_out = 'it went on after its limit'
"""

POLITE = """
import subprocess, sys, time
program = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdout=subprocess.PIPE, text=True)
time.sleep(1.5)
program.terminate()
said = program.communicate()[0]
broke_out = 'it ignored the signal' if 'BROKE OUT' in said else ''
"""
"""Ends another program as one asks politely."""

DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 3)
        time.sleep(1.5)
        open(sys.argv[1], 'w').close()
    os._exit(0)
"""

HOLD_PIPE = """
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(8)
    os._exit(0)
print('the parent has ended', flush=True)
"""

CHANGE_INPUT = """
import os
done = []
def attempt(what, how):
    try:
        how()
        done.append(what)
    except OSError: pass
for top, folders, files in os.walk('/app/input_data', topdown=False):
    for path in (os.path.join(top, name) for name in files):
        attempt('chmod', lambda: os.chmod(path, 0o777))
        attempt('write', lambda: open(path, 'a').write('forged'))
        attempt('rename', lambda: os.rename(path, path + '.gone'))
    attempt('create', lambda: open(os.path.join(top, 'new'), 'w').write('new'))
broke_out = ', '.join(done)
"""

SEARCH = """
import os, sys, time
wanted, found, files, until = sys.argv[1][::-1].encode(), [], 0, time.time() + 20
def look(path):
    try:
        with open(path, 'rb') as file:
            if wanted in file.read(1 << 20): found.append(path)
    except OSError: pass
system = ['/' + n for n in 'usr lib lib64 lib32 bin sbin opt nix proc sys dev boot'.split()]
for top, folders, names in os.walk('/'):
    folders[:] = [f for f in folders if os.path.join(top, f) not in system]
    for name in names:
        path = os.path.join(top, name)
        if os.path.isfile(path): look(path)
    files += len(names)
    if files > 50000 or time.time() > until: break
for pid in filter(str.isdigit, os.listdir('/proc')):
    for what in ('environ', 'cmdline', 'root/app/input/ref/truth.txt'): look('/proc/%s/%s' % (pid, what))
broke_out = ', '.join(found)
"""
"""Looks for its first word, read backwards, wherever data of others could be; files of the system are nobody's."""

REACH = """
import socket, sys
reached = []
for family, address in ((socket.AF_INET, '169.254.169.254'), (socket.AF_INET6, 'fd00:ec2::254'),
                        (socket.AF_INET, '10.0.0.1'), (socket.AF_INET, '192.168.0.1'), (socket.AF_INET, '192.0.2.1')):
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as way: way.connect((address, 53))
        reached.append('there is a way to ' + address)
    except OSError: pass
gateways = [l.split()[2] for l in open('/proc/net/route').readlines()[1:] if l.split()[1] == '00000000']
hosts = [socket.inet_ntoa(bytes.fromhex(g)[::-1]) for g in gateways] + sys.argv[2:]
for host in hosts if len(sys.argv) > 1 else ():
    try:
        socket.create_connection((host, int(sys.argv[1])), 2).close()
        reached.append('a server of this host answered at ' + host)
    except OSError: pass
broke_out = '; '.join(reached)
"""

SOCKETS = """
import os, stat
found = []
system = ['/' + n for n in 'usr lib lib64 bin sbin proc sys'.split()]
for top, folders, names in os.walk('/'):
    folders[:] = [f for f in folders if os.path.join(top, f) not in system]
    for path in (os.path.join(top, name) for name in names):
        try:
            if stat.S_ISSOCK(os.lstat(path).st_mode): found.append(path)
        except OSError: pass
broke_out = ', '.join(found)
"""

DEVICES = """
import ctypes, os, socket
libc, done, folder = ctypes.CDLL(None, use_errno=True), [], '/tmp/mounted'
os.makedirs(folder, exist_ok=True)
def attempt(what, how):
    try:
        if how() != -1: done.append(what)
    except OSError: pass
attempt('mknod', lambda: os.mknod('/tmp/disk', 0o60600, os.makedev(8, 0)))
attempt('mount', lambda: libc.mount(b'tmpfs', folder.encode(), b'tmpfs', 0, None))
attempt('chroot', lambda: os.chroot('/tmp') or os.chroot('.'))
attempt('raw socket', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt('host name', lambda: socket.sethostname('mine'))
broke_out = ', '.join(done)
"""

OTHERS = """
import os, sys
wanted, seen = sys.argv[1][::-1].encode(), []
for pid in filter(str.isdigit, os.listdir('/proc')):
    for what in ('cmdline', 'environ'):
        try:
            if wanted in open('/proc/%s/%s' % (pid, what), 'rb').read(): seen.append(pid + '/' + what)
        except OSError: pass
broke_out = ', '.join(seen)
"""

TRACE = """
import ctypes, os, sys
wanted, reached = sys.argv[1][::-1].encode(), []
libc = ctypes.CDLL(None, use_errno=True)
for pid in map(int, filter(str.isdigit, os.listdir('/proc'))):
    try: mine = wanted not in open('/proc/%d/cmdline' % pid, 'rb').read()
    except OSError: continue
    if mine: continue
    try: reached.append('signal to %d' % pid if os.kill(pid, 0) is None else '')
    except OSError: pass
    if libc.ptrace(16, pid, None, None) == 0: reached.append('ptrace of %d' % pid)
broke_out = ', '.join(reached)
"""

_CALLS = """
import ctypes, errno, os, platform
call = ctypes.CDLL(None, use_errno=True).syscall
x86 = platform.machine() == 'x86_64'
def allowed(number, *words):
    ctypes.set_errno(0)
    done = call(number, *(w if w is None or isinstance(w, bytes) else ctypes.c_long(w) for w in words))
    return done >= 0 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS, errno.EACCES)
"""

KERNEL = (
    _CALLS
    + """
tried = {
    'userfaultfd': (323 if x86 else 282, 1), 'bpf': (321 if x86 else 280, 0, None, 0),
    'perf_event_open': (298 if x86 else 241, None, 0, -1, -1, 0), 'init_module': (175 if x86 else 105, None, 0, b''),
    'open_by_handle_at': (304 if x86 else 265, -1, None, 0),
}
broke_out = ', '.join(name for name, words in tried.items() if allowed(*words))
"""
)
"""Calls that no engine's own filter lets through without a capability. Each is harmless as it is made here."""

SURFACE = (
    _CALLS
    + """
tried = {
    'io_uring_setup': (425, 0, None), 'keyctl': (250 if x86 else 219, 0, -3, 1),
    'unshare (a user namespace)': (272 if x86 else 97, 0x10000000),
}
broke_out = ', '.join(name for name, words in tried.items() if allowed(*words))
"""
)

KERNEL_FILES = """
import glob, os, stat
done = []
for path, flags in (
    ('/proc/sys/kernel/core_pattern', os.O_WRONLY), ('/proc/sys/kernel/modprobe', os.O_WRONLY),
    ('/proc/sys/vm/panic_on_oom', os.O_WRONLY), ('/proc/sysrq-trigger', os.O_WRONLY), ('/proc/kcore', os.O_RDONLY),
    ('/sys/kernel/uevent_helper', os.O_WRONLY),
    *((path, os.O_WRONLY) for path in glob.glob('/sys/fs/cgroup/*/release_agent') + ['/sys/fs/cgroup/cgroup.procs']),
):
    try:
        opened = os.open(path, flags)
        if not stat.S_ISCHR(os.fstat(opened).st_mode): done.append(path)  # what is masked is /dev/null
        os.close(opened)
    except OSError: pass
broke_out = ', '.join(done)
"""

CORE = """
import resource
most = resource.getrlimit(resource.RLIMIT_CORE)[1]
broke_out = '' if most == 0 else 'it may leave a core of %s' % ('any size' if most < 0 else '%d bytes' % most)
"""

ENVIRONMENT = """
import os, sys
wanted = sys.argv[1][::-1]
broke_out = ', '.join(name for name, value in os.environ.items() if wanted in value)
"""

CPUS = """
import os, time
def throttled():
    for path in ('/sys/fs/cgroup/cpu.stat', '/sys/fs/cgroup/cpu/cpu.stat', '/sys/fs/cgroup/cpu,cpuacct/cpu.stat'):
        try:
            for line in open(path):
                if line.startswith('nr_throttled '): return int(line.split()[1])
        except OSError: pass
before, began, used = throttled(), time.monotonic(), time.process_time()
while time.monotonic() - began < 2: pass
share, after = (time.process_time() - used) / (time.monotonic() - began), throttled()
held = share < 0.12 if after is None else after > before
broke_out = '' if held else 'it had %.2f of a core' % share
"""

INJECTED = """
import os, time
time.sleep(0.3)
broke_out = ', '.join(os.listdir('/app/output'))
"""

HUGE_FILE = """
import time
with open('/app/output/huge', 'wb') as file:
    for _ in range(96):
        file.write(bytes(1 << 20))
        file.flush()
        time.sleep(0.04)
"""

MANY_FILES = """
import time
for n in range(1500):
    open('/app/output/%d' % n, 'w').close()
    time.sleep(0.002)
"""

FLOOD = "import os\nfor _ in range(128): os.write(1, (b'x' * 1023 + b'\\n') * 64)\n"

FORGE = """
import os
for folder in ('/app/output', '/app/shared', '/app/program', '/tmp', '/app/input_data', '/app/input'):
    for name, text in (('scores.json', '{"score": 99}'), ('scores.txt', 'score: 99')):
        try: open(os.path.join(folder, name), 'w').write(text)
        except OSError: pass
"""
