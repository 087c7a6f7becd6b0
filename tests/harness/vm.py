# SPDX-License-Identifier: GPL-2.0
"""A virtual machine with DIMMs that come and go.

The host talks to QEMU by QMP and to the guest by QEMU's guest agent.  Both speak
JSON, a message a line, over socket pairs that QEMU inherits, so there are no socket
paths to clash.  All is single-threaded: whatever waits, waits in VM._pump(), where
the messages of both and QEMU's end arrive.
"""

import base64
import collections
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parents[2]

DEFAULT_KERNEL = '6.12'

# The machine that a guest is, by its architecture (scripts/lib.sh has what else depends on that).
Machine = collections.namedtuple('Machine', 'qemu args cpu mem cmdline')
MACHINES = {
    # QEMU before 8.1 has been seen to have RAX for EFLAGS after a cmpxchg16b: a double fault.
    'amd64': Machine('qemu-system-x86_64', ['-machine', 'q35'], 'max,-cx16', '1G',
                     'console=ttyS0 no_timer_check tsc=reliable'),
    # Its memory begins at 1 GiB: with 3 GiB of it DIMMs begin at 4 GiB, as they do on amd64.
    'arm64': Machine('qemu-system-aarch64',
                     ['-machine', 'virt', '-bios', '/usr/share/qemu-efi-aarch64/QEMU_EFI.fd'],
                     'cortex-a72', '3G', 'console=ttyAMA0 acpi=force'),
}
ARCH = os.environ.get('ARCH') or 'amd64'
MACHINE = MACHINES[ARCH]
BUILD = TOP / 'build' if ARCH == 'amd64' else TOP / 'build' / ARCH

# panic=-1 with -no-reboot makes QEMU exit at once when the guest's kernel panics,
# and every warning is a panic.  A busy machine has left QEMU alone for longer than the
# kernel lets a CPU be stuck (20 seconds): what is stuck for good is so after 3 minutes as
# well.  The rest saves boot time under emulation.
CMDLINE = (f'{MACHINE.cmdline} panic=-1 oops=panic panic_on_warn=1 hung_task_panic=1 '
           'watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120 '
           'audit=0 random.trust_cpu=on cryptomgr.notests')
NO_MEMHOTPLUG = 'acpi_no_memhotplug'

# Kernels of scripts/build-debug-kernel.sh take their time, and more memory.
DEBUG_KERNELS = ('debug', 'kcsan')
DEBUG_CMDLINE = 'gcov_persist=1 rcupdate.rcu_expedited=1'
DEBUG_PATIENCE = 10

# Of a machine that has much else to do.
PATIENCE = float(os.environ.get('KARRAY_PATIENCE') or 1)

# Why what memory costs is measured with other kernels.
KASAN_SHADOW = 'KASAN keeps an eighth of what is mapped beside it'

# ACPI's _OST: what the guest says about a request to eject (source 3).
OST_EJECT = 3
OST_SUCCESS = 0
OST_IN_PROGRESS = 0x84


class GuestError(Exception):
    """A command in the guest failed."""


class VMDied(Exception):
    """QEMU ended while the test still needed it: the guest crashed."""


class VMTimeout(Exception):
    """What was waited for did not come."""


class QMPError(Exception):
    """QEMU or the guest agent refused a command."""


Result = collections.namedtuple('Result', 'rc out err')


class Channel:
    """JSON messages over a socket, one a line."""

    def __init__(self):
        self.ours, self.theirs = socket.socketpair()
        self.data = b''

    def fileno(self):
        return self.ours.fileno()

    def send(self, message):
        self.ours.sendall(json.dumps(message).encode() + b'\n')

    def receive(self):
        """Read once; return the messages now complete, or None at the end."""
        try:
            data = self.ours.recv(1 << 20)
        except ConnectionResetError:
            data = b''
        if not data:
            return None
        *lines, self.data = (self.data + data).split(b'\n')
        return [json.loads(line.lstrip(b'\xff')) for line in lines if line.strip()]

    def close(self):
        self.ours.close()
        self.theirs.close()


class Job:
    """A command that runs in the guest."""

    def __init__(self, vm, cmd, pid):
        self.vm = vm
        self.cmd = cmd
        self.pid = pid
        self.result = None

    def poll(self):
        """The Result if the command has ended, None otherwise."""
        if self.result is None:
            status = self.vm.agent('guest-exec-status', pid=self.pid)
            if status['exited']:
                out, err = (base64.b64decode(status.get(key, '')).decode(errors='replace')
                            for key in ('out-data', 'err-data'))
                rc = status.get('exitcode', -status.get('signal', 0))
                self.result = Result(rc, out, err)
        return self.result

    def wait(self, timeout=60, check=False):
        deadline = self.vm.deadline(timeout)
        pause = 0.005
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise VMTimeout(f'after {timeout} s, still running in the guest: {self.cmd}')
            self.vm.idle(pause)
            pause = min(pause * 1.5, 0.1)
        if check and self.result.rc != 0:
            raise GuestError(f'guest# {self.cmd}\nexit status {self.result.rc}\n'
                             f'{self.result.out}{self.result.err}')
        return self.result


def kvm_works():
    if ARCH != 'amd64' or not os.access('/dev/kvm', os.R_OK | os.W_OK):
        return False
    cpuinfo = pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8')
    return bool(re.search(r'^flags\s*:.*\b(vmx|svm)\b', cpuinfo, re.MULTILINE))


def shell(cmd):
    """A command as the agent's guest-exec wants it."""
    return {'path': '/bin/sh', 'arg': ['-c', cmd],
            'env': ['PATH=/usr/local/bin:/usr/bin:/usr/sbin', 'HOME=/root']}


def escape(path):
    """A path among the comma-separated properties of an argument for QEMU."""
    return str(path).replace(',', ',,')


class VM:
    """A guest, with files in build/KERNEL/vm/NAME.  Its DIMMs may be larger than the
    host's memory: they take what is written to.

    @name:       of the work directory; one VM of a name at a time
    @kernel:     '6.1', '6.12', ...; by default what KARRAY_KERNEL says
    @dimms:      (id, size) of each DIMM there at boot; or (id, size, file) where the file
                 keeps its bytes, also for another VM
    @memhotplug: leave DIMMs to the kernel's own memory hotplug
    @cmdline:    more for the kernel's command line
    @mem:        the guest's memory, where that matters
    @qemu_args:  more for QEMU's
    @boot_disks: its kernel and its initramfs are also the disks vda and vdb, for kexec
    @trace_log:  where the guest's karray trace goes
    @accel:      QEMU's accelerator; by default what KARRAY_ACCEL says, or KVM where that
                 works, or TCG
    @cpu:        QEMU's model of the CPU
    @kmemleak:   have the debug kernel look for leaks in the end, which makes it half as fast
    @parallel:   emulate the CPUs side by side, for tests that need races. QEMU before
                 8.1 then loses a kernel's change of its own code now and then: an
                 "int3" oops, or a hang
    """

    def __init__(self, name, kernel=None, dimms=(('hp_dimm0', '2G'),), memhotplug=False, cmdline='',
                 smp=2, mem=None, slots=8, maxmem='32G', qemu_args=(), trace_log=None, parallel=False,
                 accel=None, cpu=None, boot_disks=False, kmemleak=False):
        self.name = name
        self.kernel = kernel or os.environ.get('KARRAY_KERNEL') or DEFAULT_KERNEL
        self.build = BUILD / self.kernel
        self.dir = self.build / 'vm' / name
        self.debug = self.kernel in DEBUG_KERNELS
        self.kasan = self.kernel == 'debug'
        self.kmemleak = kmemleak and self.kasan
        self.dimms = list(dimms)
        self.cmdline = ' '.join(filter(None, [CMDLINE, '' if memhotplug else NO_MEMHOTPLUG,
                                              DEBUG_CMDLINE if self.debug else '',
                                              'kmemleak=off' if self.kasan and not self.kmemleak else '', cmdline]))
        self.smp, self.slots, self.maxmem = smp, slots, maxmem
        self.mem = '2G' if self.debug and mem in (None, '1G') else mem or MACHINE.mem
        self.qemu_args = list(qemu_args)
        self.boot_disks = boot_disks
        self.trace_log = trace_log or self.dir / 'ftrace.log'
        self.accel = (accel or os.environ.get('KARRAY_ACCEL') or
                      ('kvm' if kvm_works() else
                       f'tcg,thread={"multi" if parallel else "single"}'))
        self.cpu = cpu or ('host' if self.accel.startswith('kvm') else MACHINE.cpu)
        self.events = []
        self._backends = {}         # DIMM: its memory backend
        self._backend_count = 0
        self._asked = {}            # DIMM: how many events there were when its removal was asked for
        self._process = None
        self._replies = {}          # channel: its replies not yet taken
        self._qmp = self._agent = None

    def deadline(self, timeout):
        """When what should take at most @timeout seconds with one of Debian's kernels has
        taken too long."""
        return time.monotonic() + timeout * PATIENCE * (DEBUG_PATIENCE if self.debug else 1)

    # Starting and ending ---------------------------------------------------

    def _new_backend(self, dimm):
        """A name for a memory backend.  None is ever used twice."""
        self._backend_count += 1
        backend = f'mem_{dimm}' if dimm not in self._backends else f'mem_{dimm}.{self._backend_count}'
        self._backends[dimm] = backend
        return backend

    def machine_args(self):
        """The arguments that make the machine, without its connections to the host."""
        kernel, initrd = BUILD / 'kernels' / self.kernel, self.build / 'initramfs.img'
        args = [*MACHINE.args, '-accel', self.accel, '-cpu', self.cpu,
                '-smp', str(self.smp), '-m', f'{self.mem},slots={self.slots},maxmem={self.maxmem}',
                '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
                '-kernel', str(kernel / 'vmlinux'), '-initrd', str(initrd), '-device', 'virtio-serial-pci']
        for dimm, size, *file in self.dimms:
            backend = self._new_backend(dimm)
            kind = f'file,share=on,mem-path={escape(file[0])}' if file else 'ram,reserve=off'
            args += ['-object', f'memory-backend-{kind},id={backend},size={size}',
                     '-device', f'pc-dimm,id={dimm},memdev={backend}']
        for file in (kernel / 'vmlinuz', initrd) if self.boot_disks else ():
            args += ['-drive', f'if=virtio,format=raw,readonly=on,file={escape(file)}']
        return args + self._trace_args() + self.qemu_args

    def _trace_args(self):
        self.trace_log.parent.mkdir(parents=True, exist_ok=True)
        return ['-chardev', f'file,id=trace,path={escape(self.trace_log)}',
                '-device', 'virtserialport,chardev=trace,name=karray.trace']

    def _spawn_qemu(self, args, **popen_args):
        """QEMU dies with us, however we die."""
        command = ['setpriv', '--pdeathsig', 'KILL', MACHINE.qemu, *args]
        return subprocess.Popen(command, cwd=self.dir, **popen_args)

    def _new_dir(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)

    def start(self, timeout=150, tries=3):
        """Boot, and return when the guest's agent answers. An emulated machine may
        fail to boot by no fault of the guest, and is then given another try."""
        for left in range(tries - 1, -1, -1):
            try:
                return self._start(timeout)
            except (VMDied, VMTimeout) as error:
                self.close()
                if not left or not self.accel.startswith('tcg'):
                    raise
                print(f'# did not boot, trying again: {error}'.replace('\n', '\n# '), flush=True)

    def _start(self, timeout):
        self._new_dir()
        self._qmp, self._agent = Channel(), Channel()
        self._replies = {self._qmp: [], self._agent: []}
        fds = [channel.theirs.fileno() for channel in (self._qmp, self._agent)]
        args = self.machine_args() + [
            '-append', self.cmdline,
            '-chardev', 'file,id=console,path=console.log', '-serial', 'chardev:console',
            '-chardev', f'socket,id=qmp,fd={fds[0]}', '-mon', 'chardev=qmp,mode=control',
            '-chardev', f'socket,id=agent,fd={fds[1]}',
            '-device', 'virtserialport,id=agent,chardev=agent,name=org.qemu.guest_agent.0']
        with open(self.dir / 'qemu.log', 'wb') as log:
            self._process = self._spawn_qemu(args, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             pass_fds=fds)
        self._qmp.theirs.close()
        self._agent.theirs.close()

        self.qmp('qmp_capabilities')
        self.agent('guest-sync-delimited', _timeout=timeout, id=1)
        return self

    def interactive(self):
        """A shell on the guest's console, with QEMU's monitor on ctrl-a c, until it
        ends.  Returns QEMU's exit status."""
        self._new_dir()
        args = self.machine_args() + ['-append', f'{self.cmdline} quiet karray.shell',
                                      '-serial', 'mon:stdio']
        return self._spawn_qemu(args).wait()

    def poweroff(self, timeout=30):
        """Switch the guest off and wait for QEMU to end. A reboot does that (-no-reboot),
        and unlike poweroff also where ACPI is off."""
        if not self.alive():
            return
        self._agent.send({'execute': 'guest-exec',
                          'arguments': {'path': 'reboot', 'arg': ['-f']}})
        deadline = self.deadline(timeout)
        while self._pump(deadline - time.monotonic()):
            if time.monotonic() > deadline:
                raise VMTimeout(f'the guest did not power off in {timeout} s\n{self._tail()}')
        self._process.wait(max(deadline - time.monotonic(), 1))

    def reboot(self, cmd='reboot -f', timeout=120):
        """Have the guest begin anew, by a command of its own, in the same QEMU; return when
        its agent answers again.  Its console log goes on."""
        since = len(self.events)
        self.qmp('set-action', reboot='reset')
        self._agent.send({'execute': 'guest-exec', 'arguments': shell(cmd)})
        for is_open in (False, True):
            port = {'id': 'agent', 'open': is_open}
            event = self.wait_event('VSERPORT_CHANGE', timeout, port.__eq__, since)
            since = self.events.index(event) + 1
        self.qmp('set-action', reboot='shutdown')
        # What is left of the agent from before.
        self._replies[self._agent].clear()
        self._agent.data = b''
        self.agent('guest-sync-delimited', _timeout=timeout, id=2)

    def close(self):
        """End QEMU, whatever the guest's state."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for channel in (self._qmp, self._agent):
            if channel:
                channel.close()
        self._qmp = self._agent = None

    def freeze(self, seconds):
        """Be a machine that has no time for QEMU."""
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.close()

    def alive(self):
        """Does QEMU still run?"""
        return self._qmp is not None and self._process.poll() is None

    def died(self):
        """Raise VMDied, with the console's last words."""
        log = (self.dir / 'qemu.log').read_text(errors='replace')
        raise VMDied(f'{self.name}: the guest is gone\n{log}{self._tail()}')

    def console(self):
        """The guest's console log from boot on."""
        path = self.dir / 'console.log'
        return path.read_text(errors='replace').replace('\r', '') if path.exists() else ''

    def trace(self):
        """The guest's karray trace from setup_karray.sh on."""
        return self.trace_log.read_text(errors='replace') if self.trace_log.exists() else ''

    def _tail(self, lines=60):
        return '\n'.join(self.console().splitlines()[-lines:])

    # Messages --------------------------------------------------------------

    def _pump(self, timeout):
        """Wait for messages at most @timeout seconds and sort them: replies for
        whoever asked, events to the list.  False if QEMU has ended."""
        if self._qmp is None:
            return False
        ready, _, _ = select.select(list(self._replies), [], [], max(timeout, 0))
        for channel in ready:
            messages = channel.receive()
            if messages is None:
                return False
            for message in messages:
                if 'event' in message:
                    self._event(message)
                elif 'return' in message or 'error' in message:
                    self._replies[channel].append(message)
        return True

    def _event(self, event):
        self.events.append(event)
        if event['event'] == 'DEVICE_DELETED':
            backend = self._backends.get(event['data'].get('device'))
            if backend:
                self._qmp.send({'execute': 'object-del', 'arguments': {'id': backend},
                                'id': 'forget'})

    def idle(self, seconds):
        """Let time pass, but notice at once if the guest dies."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not self._pump(left):
                self.died()

    def _call(self, channel, command, arguments, timeout):
        if not self.alive():
            self.died()
        message = {'execute': command}
        if arguments:
            message['arguments'] = arguments
        if channel is self._qmp:
            message['id'] = 'call'
        try:
            channel.send(message)
        except OSError:
            self.died()
        deadline = self.deadline(timeout)
        while True:
            while self._replies[channel]:
                reply = self._replies[channel].pop(0)
                if reply.get('id') == 'forget':
                    continue
                if 'error' in reply:
                    raise QMPError(f'{command}: {reply["error"]["desc"]}')
                return reply['return']
            if time.monotonic() > deadline:
                raise VMTimeout(f'no answer to {command} in {timeout} s\n{self._tail()}')
            if not self._pump(deadline - time.monotonic()):
                self.died()

    def qmp(self, command, _timeout=30, **arguments):
        """Have QEMU do a QMP command; underscores in names of arguments are dashes."""
        arguments = {name.replace('_', '-'): value for name, value in arguments.items()}
        return self._call(self._qmp, command, arguments, _timeout)

    def agent(self, command, _timeout=30, **arguments):
        """Have the guest's agent do a command."""
        arguments = {name.replace('_', '-'): value for name, value in arguments.items()}
        return self._call(self._agent, command, arguments, _timeout)

    def hmp(self, command):
        """QEMU's answer to a command of its human monitor."""
        return self.qmp('human-monitor-command', command_line=command).replace('\r', '')

    # In the guest ----------------------------------------------------------

    def spawn(self, cmd):
        """Start a shell command in the guest; return its Job."""
        reply = self.agent('guest-exec', **shell(cmd), capture_output=True)
        return Job(self, cmd, reply['pid'])

    def sh(self, cmd, timeout=60, check=True):
        """Run a shell command in the guest.  Its Result has rc, out and err; if
        @check, a failure is an exception."""
        return self.spawn(cmd).wait(timeout, check)

    def wait(self, condition, timeout=10, what=None):
        """Wait until @condition, a shell command in the guest or a function, is true."""
        deadline = self.deadline(timeout)
        while True:
            true = condition() if callable(condition) else self.sh(condition, check=False).rc == 0
            if true:
                return true
            if time.monotonic() > deadline:
                raise VMTimeout(f'not true after {timeout} s: {what or condition}')
            self.idle(0.05)

    # Events and DIMMs ------------------------------------------------------

    def wait_event(self, name, timeout=10, match=lambda data: True, since=0):
        """The first event @name after the first @since ones whose data @match."""
        return self._wait_any({name: match}, timeout, since)

    def _wait_any(self, wanted, timeout, since):
        """The first event that is @wanted: names with what must match."""
        deadline = self.deadline(timeout)
        seen = since
        while True:
            for event in self.events[seen:]:
                match = wanted.get(event['event'])
                if match and match(event.get('data', {})):
                    return event
            seen = len(self.events)
            if time.monotonic() > deadline:
                raise VMTimeout(f'no event {" or ".join(wanted)} in {timeout} s; '
                                f'there were: {self.events[since:]}')
            if not self._pump(deadline - time.monotonic()):
                self.died()

    def plug(self, dimm, size, file=None, **props):
        """Plug a DIMM, whose bytes are kept by @file if that is given.  Does not wait for the
        guest; use wait() on what should appear."""
        sizes = {'M': 20, 'G': 30}
        size = int(size[:-1]) << sizes[size[-1]] if isinstance(size, str) else size
        backend = self._new_backend(dimm)
        kind = {'qom_type': 'memory-backend-file', 'share': True, 'mem_path': str(file)} if file else {
            'qom_type': 'memory-backend-ram', 'reserve': False}
        self.qmp('object-add', id=backend, size=size, **kind)
        try:
            self._call(self._qmp, 'device_add',
                       {'driver': 'pc-dimm', 'id': dimm, 'memdev': backend, **props}, 30)
        except QMPError:
            self.qmp('object-del', id=backend)
            raise

    def unplug(self, dimm):
        """Ask the guest to let a DIMM go; unplug_result() tells what became of that."""
        self._asked[dimm] = len(self.events)
        self.qmp('device_del', id=dimm)

    def unplug_result(self, dimm, timeout=10):
        """'deleted', or ('vetoed', the _OST status that the guest gave)."""
        def mine(data):
            return data.get('device') == dimm

        def refusal(data):
            info = data['info']
            return (mine(info) and info['source'] == OST_EJECT
                    and info['status'] not in (OST_SUCCESS, OST_IN_PROGRESS))

        event = self._wait_any({'DEVICE_DELETED': mine, 'ACPI_DEVICE_OST': refusal},
                               timeout, self._asked.get(dimm, 0))
        if event['event'] == 'DEVICE_DELETED':
            return 'deleted'
        return 'vetoed', event['data']['info']['status']
