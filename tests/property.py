"""What tests/property-push and tests/property-fetch share: contents, stores that fail, processes, and the running of sequences.

A sequence is drawn from SEED and its number alone, so that it can be drawn again; what chance is left is the machine's: where a
kill strikes. See the scenarios 62-property-push and 63-property-fetch.
"""
import atexit, ctypes, functools, hashlib, importlib.machinery, importlib.util, json, os, random, select, shutil, signal, socket
import struct, subprocess, sys, threading, time, traceback
from collections import Counter
from pathlib import Path

HERE = os.path.dirname(os.path.realpath(__file__))
SEGMENT_BYTES = 1024 * 1024
SEGMENTS_PER_LOG = 4096
PAGE_BYTES, MARK_BYTES, BLOCK_BYTES = 8192, 4096, 65536
TRAILER_BYTES = 1024


class Wrong(Exception):
    """What must never be."""


def require(condition, text):
    if not condition:
        raise Wrong(text)


# ---- contents: a segment is known by (number, timeline of its first page, variant); other files by their bytes

def segment_name(timeline, number):
    return f"{timeline:08X}{number // SEGMENTS_PER_LOG:08X}{number % SEGMENTS_PER_LOG:08X}"


def lsn(number, offset=0):
    address = number * SEGMENT_BYTES + offset
    return f"{address >> 32:X}/{address & 0xffffffff:X}"


class Contents:
    """Segments that are cheap to make and to compress, and of which every block tells to which content it belongs."""
    def __init__(self, template, system):
        self.template, self.system = Path(template).read_bytes()[:PAGE_BYTES], system

    def pieces(self, key):
        """(offset, bytes), ascending: what is not zero."""
        number, timeline, variant = key
        yield 0, self.template[:4] + struct.pack("<IQ", timeline, number * SEGMENT_BYTES) + self.template[16:]
        for offset in [PAGE_BYTES, *range(BLOCK_BYTES, SEGMENT_BYTES, BLOCK_BYTES), SEGMENT_BYTES - MARK_BYTES]:
            yield offset, (b"%08x of %08x, variant %08d, at %08x. " % (number, timeline, variant, offset) * 100)[:MARK_BYTES]

    @functools.lru_cache(maxsize=48)
    def bytes_of(self, key):
        if isinstance(key, bytes):
            return key
        content = bytearray(SEGMENT_BYTES)
        for offset, piece in self.pieces(key):
            content[offset:offset + len(piece)] = piece
        return bytes(content)

    @functools.lru_cache(maxsize=4096)
    def hash_of(self, key):
        return hashlib.sha256(self.bytes_of(key)).hexdigest()

    def write(self, path, key, parts=1.0):
        """In place if the file is there, as the server does. parts: less than 1 leaves it half written."""
        if isinstance(key, bytes):
            return path.write_bytes(key)
        wait_for_tick(path)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.ftruncate(fd, SEGMENT_BYTES)
            pieces = list(self.pieces(key))
            for offset, piece in pieces[:max(1, int(len(pieces) * parts))]:
                os.pwrite(fd, piece, offset)
        finally:
            os.close(fd)


def wait_for_tick(path):
    """The kernel's file times advance in steps. A server does not finish a segment and write to it again within one."""
    try:
        changed = os.stat(path).st_ctime_ns
    except OSError:
        return
    while time.clock_gettime_ns(getattr(time, "CLOCK_REALTIME_COARSE", 5)) <= changed:
        time.sleep(0.0005)


def copy_file(source, target):
    """Its data and times; what is a hole stays one. In place if target is there."""
    status = os.stat(source)
    wait_for_tick(target)
    from_fd, to_fd = os.open(source, os.O_RDONLY), os.open(target, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.ftruncate(to_fd, 0)
        os.ftruncate(to_fd, status.st_size)
        at = 0
        while at < status.st_size:
            try:
                at = os.lseek(from_fd, at, os.SEEK_DATA)
            except OSError: # ENXIO: no more
                break
            end = os.lseek(from_fd, at, os.SEEK_HOLE)
            os.pwrite(to_fd, os.pread(from_fd, end - at, at), at)
            at = end
    finally:
        os.close(from_fd)
        os.close(to_fd)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def exchange(one, other):
    """renameat2(2) with RENAME_EXCHANGE"""
    here, swap = -100, 2
    if LIBC.renameat2(here, os.fsencode(one), here, os.fsencode(other), swap):
        raise OSError(ctypes.get_errno(), "renameat2", str(one))


def copy_tree(source, target):
    target.mkdir()
    for entry in os.scandir(source):
        if entry.is_dir():
            copy_tree(Path(entry.path), target / entry.name)
        else:
            copy_file(entry.path, target / entry.name)
    target.chmod(source.stat().st_mode & 0o777)


# ---- sealed objects (docs/format.md), opened without walferry

LIBC, LZ4 = ctypes.CDLL(None, use_errno=True), ctypes.CDLL("liblz4.so.1")
LZ4.LZ4F_decompress.restype = ctypes.c_size_t
LZ4.LZ4F_compressFrame.restype = ctypes.c_size_t
OUT, PACKED = ctypes.create_string_buffer(SEGMENT_BYTES), ctypes.create_string_buffer(SEGMENT_BYTES + 65536)


def lz4_frame(data):
    """The content of the frame that data begins with, and its length. The library verifies the frame's own checksums."""
    context, result = ctypes.c_void_p(), []
    LZ4.LZ4F_createDecompressionContext(ctypes.byref(context), 100)
    try:
        at, left = 0, 1
        while left:
            source, length = ctypes.c_size_t(len(data) - at), ctypes.c_size_t(len(OUT))
            left = LZ4.LZ4F_decompress(context, OUT, ctypes.byref(length), data[at:], ctypes.byref(source), None)
            require(left < 1 << 63, "an LZ4 frame is damaged")
            require(left == 0 or source.value or length.value, "an LZ4 frame is torn")
            result.append(ctypes.string_at(OUT, length.value))
            at += source.value
        return b"".join(result), at
    finally:
        LZ4.LZ4F_freeDecompressionContext(context)


def open_object(data):
    """What is in it, and its trailer's members."""
    content, length = lz4_frame(data)
    trailer = data[length:]
    require(len(trailer) == TRAILER_BYTES and trailer[:8] == struct.pack("<II", 0x184D2A5F, TRAILER_BYTES - 8), "an object has no trailer")
    facts = json.loads(trailer[8:])
    require(facts["frame_bytes"] == length and facts["plain_bytes"] == len(content), f"a trailer does not fit: {facts}")
    return content, facts


def seal(content, kind, name, system, timeline, **more):
    """The object, as wal-push would store it."""
    preferences = struct.pack("<iiiiQIiiIIIII", 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0) # a checksum of the content
    length = LZ4.LZ4F_compressFrame(PACKED, ctypes.c_size_t(len(PACKED)), content, ctypes.c_size_t(len(content)), preferences)
    require(0 < length < len(PACKED), "LZ4F_compressFrame")
    facts = {"walferry": 1, "kind": kind, "name": name, "codec": "lz4", "plain_bytes": len(content),
             "plain_sha256": hashlib.sha256(content).hexdigest(), "frame_bytes": length, "system_identifier": system,
             "timeline": timeline, "postgresql_version": 15, **more}
    text = json.dumps(facts, separators=(",", ":"))[:-1].encode()
    text += b',"sha256":"' + hashlib.sha256(text).hexdigest().encode() + b'"}'
    return ctypes.string_at(PACKED, length) + struct.pack("<II", 0x184D2A5F, TRAILER_BYTES - 8) + text.ljust(TRAILER_BYTES - 9) + b"\n"


# ---- stores

class Store:
    """broken: how, or None. objects(): key -> bytes of all that is there, also of a store that is broken."""
    retries = False # does wal-push go on trying when it fails?
    root = ""
    broken = None

    def config(self):
        raise NotImplementedError

    def is_blind(self):
        """Can nothing at all be read?"""
        return self.broken in ("away", "closed", "in the way")


class Directory(Store):
    def __init__(self, path, home):
        self.root, self.known = path, {}
        (path / "main").mkdir(parents=True)
        (path / "main/cluster.json").write_bytes(home)

    def config(self):
        return f"url = file://{self.root}\n"

    def wal(self):
        return next(iter(self.root.glob("main/[0-9]*/wal")), None)

    def break_it(self, rng):
        how = rng.choice(["away", "closed", "read only", "in the way"])
        wal = self.wal()
        if wal is None and how in ("read only", "in the way"):
            how = "away"
        if how == "away":
            os.rename(self.root, f"{self.root}.away")
        elif how == "closed":
            self.root.chmod(0)
        elif how == "read only":
            for folder in [wal, *wal.glob("0*/")]:
                folder.chmod(0o500)
        else:
            away = wal.parent / ".wal-away"
            away.touch()
            exchange(wal, away) # in one step: between two, a program at work would make the directory anew
        self.broken = how

    def heal(self):
        how, self.broken = self.broken, None
        if how == "away":
            if self.root.exists(): # made anew by somebody: it should not be
                raise Wrong(f"{self.root} was made while it was away")
            os.rename(f"{self.root}.away", self.root)
        elif how == "closed":
            self.root.chmod(0o700)
        elif how == "read only":
            for folder in [self.wal(), *self.wal().glob("0*/")]:
                folder.chmod(0o700)
        elif how == "in the way":
            away = next(self.root.glob("main/[0-9]*/.wal-away"))
            (away.parent / "wal").unlink()
            away.rename(away.parent / "wal")

    def objects(self):
        root = f"{self.root}.away" if self.broken == "away" else str(self.root)
        if self.broken == "closed":
            os.chmod(root, 0o700)
        result, folders = {}, [root]
        while folders:
            for entry in os.scandir(folders.pop()):
                if entry.is_dir():
                    folders.append(entry.path)
                elif not entry.name.endswith(".walferry-tmp"):
                    status = entry.stat()
                    stamp, key = (status.st_ino, status.st_ctime_ns, status.st_size), entry.path[len(root) + 1:]
                    if self.known.get(key, (None,))[0] != stamp:
                        self.known[key] = stamp, Path(entry.path).read_bytes()
                    result[key.replace(".wal-away", "wal")] = self.known[key][1]
        if self.broken == "closed":
            os.chmod(root, 0)
        if self.broken == "in the way":
            result = {key: data for key, data in result.items() if not key.endswith("/wal")}
        return result


S3_ENVIRONMENT = ("S3_REGION", "S3_ACCESS_KEY", "S3_SECRET_KEY")


def s3_config(url, endpoint):
    ca = f"ca_file = {os.environ['S3_CA']}\n" if endpoint.startswith("https") else ""
    region, access_key, secret_key = (os.environ[name] for name in S3_ENVIRONMENT)
    return (f"url = {url}\nregion = {region}\nendpoint = {endpoint}\n{ca}access_key = {access_key}\nsecret_key = {secret_key}\n"
            "connect_timeout = 2\nrequest_timeout = 5\n")


class FaultServer(Store):
    """One for a worker, another prefix for each sequence."""
    retries = True

    def __init__(self, path):
        self.path = path
        (path / "objects/bucket").mkdir(parents=True)
        self.process = subprocess.Popen([HERE + "/fault-server", str(path)], stdout=subprocess.DEVNULL)
        atexit.register(self.process.kill)
        for _ in range(600):
            if (path / "port").exists():
                break
            time.sleep(0.05)
        self.endpoint, self.numbers = f"http://127.0.0.1:{(path / 'port').read_text().strip()}", 0

    def begin(self, name, home):
        shutil.rmtree(self.path / "objects/bucket")
        self.prefix, self.broken = name, None
        self.root = self.path / "objects/bucket" / name
        self.directory = Directory(self.root, home)
        self.script([])

    def script(self, lines):
        self.numbers += 1
        (self.path / "script.new").write_text("\n".join([f"# {self.numbers}", *lines, ""]))
        os.rename(self.path / "script.new", self.path / "script")

    def config(self):
        return s3_config(f"s3://bucket/{self.prefix}", self.endpoint)

    def break_it(self, rng):
        at = rng.randint(1, 4)
        self.broken = rng.choice([
            "* * 1 - status=503 code=SlowDown", f"* * {at} - status=503 code=SlowDown", f"* * {at} - status=403 code=AccessDenied",
            f"* * {at} - reset=start", f"* * {at} - close=upload", f"* * {at} - reset=answer", f"* * {at} - close=headers",
            f"* * {at} - status=500 code=InternalError done", f"* * {at} - status=500 code=InternalError", "accept"])
        self.script(["set accept reset"] if self.broken == "accept" else
                    [self.broken.replace("*", operation, 1) for operation in ("PUT", "GET")])

    def is_blind(self):
        return self.broken is not None and (self.broken == "accept" or self.broken.startswith("* * 1 "))

    def heal(self):
        self.broken = None
        self.script([])

    def objects(self):
        return self.directory.objects()


class Proxy:
    """Lies before the real server, byte by byte, and can be told to fail. limit: so many bytes more, then connections are reset."""
    def __init__(self, port):
        self.target, self.limit = port, None
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port, self.connections = self.listener.getsockname()[1], set()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            client = self.listener.accept()[0]
            if self.limit is not None and self.limit <= 0:
                self.reset(client)
            else:
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    @staticmethod
    def reset(connection):
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        connection.close()

    def serve(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            return self.reset(client)
        other, ends = {client: server, server: client}, select.poll()
        for end in other:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ends.register(end, select.POLLIN)
        by_number = {end.fileno(): end for end in other}
        try:
            while True:
                for number, _ in ends.poll(100):
                    data = by_number[number].recv(65536)
                    if not data:
                        return
                    if self.limit is not None:
                        data, self.limit = data[:max(0, self.limit)], self.limit - len(data)
                    other[by_number[number]].sendall(data)
                if self.limit is not None and self.limit <= 0:
                    return
        except OSError:
            pass
        finally:
            for end in other:
                self.reset(end)

    def break_it(self, limit):
        self.limit = limit

    def heal(self):
        self.limit = None


class RealStore(Store):
    """The server of tests/ceph, asked with tests/s3's own client."""
    retries = True

    def __init__(self):
        loader = importlib.machinery.SourceFileLoader("s3", HERE + "/s3")
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader("s3", loader))
        loader.exec_module(module)
        self.bucket = module.Bucket(os.environ["S3_BUCKET"])
        self.proxy = Proxy(int(os.environ["S3_ENDPOINT"].rpartition(":")[2]))
        self.known = {}

    def begin(self, name, home):
        self.prefix = self.root = f"{os.environ['S3_PREFIX']}/{name}"
        self.known, self.broken = {}, None
        self.proxy.heal()
        self.bucket.must("PUT", f"{self.prefix}/main/cluster.json", payload=home)

    def config(self):
        return s3_config(f"s3://{os.environ['S3_BUCKET']}/{self.prefix}", f"https://127.0.0.1:{self.proxy.port}")

    def break_it(self, rng):
        limit = rng.choice([0, rng.randint(1, 3000), rng.randint(1, 30000), rng.randint(1, 100000)])
        self.broken = f"reset after {limit} bytes"
        self.proxy.break_it(limit)

    def heal(self):
        self.broken = None
        self.proxy.heal()

    def objects(self):
        result = {}
        for root in self.bucket.pages({"list-type": "2", "prefix": self.prefix + "/"}, {"continuation-token": "NextContinuationToken"}):
            for item in root.findall("Contents"):
                key, stamp = item.findtext("Key"), (item.findtext("ETag"), item.findtext("LastModified"))
                if self.known.get(key, (None,))[0] != stamp:
                    self.known[key] = stamp, self.bucket.must("GET", key)
                result[key[len(self.prefix) + 1:]] = self.known[key][1]
        return result


# ---- processes

def become_reaper():
    """What loses its parent becomes this process's child: so its end can be waited for."""
    LIBC.prctl(36, 1, 0, 0, 0) # PR_SET_CHILD_SUBREAPER


class Process:
    """A program that was started in a directory; what it says goes to a file. archiver: a parent of its own, which can be killed."""
    WAIT_SECONDS, UNKNOWN = 120, -signal.SIGTERM

    def __init__(self, arguments, directory, said, archiver=False):
        self.said, self.status, self.archiver = said, None, None
        os.chdir(directory) # posix_spawn knows no working directory
        output = [(os.POSIX_SPAWN_OPEN, 1, str(said), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)]
        if archiver:
            told, tells = os.pipe()
            script = '"$@" 9>&- & echo $! >&9; exec 9>&-; wait $!; exit $?'
            self.archiver = os.posix_spawn("/bin/sh", ["sh", "-c", script, "-", *arguments], os.environ,
                                           file_actions=[*output, (os.POSIX_SPAWN_DUP2, tells, 9)])
            os.close(tells)
            with os.fdopen(told) as pipe:
                self.pid = int(pipe.read())
        else:
            self.pid = os.posix_spawn(arguments[0], arguments, os.environ, file_actions=output)

    def send(self, number):
        if self.status is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def step_back(self):
        """Behind this process, which is to wake up in the middle of what that one does."""
        try:
            os.setpriority(os.PRIO_PROCESS, self.pid, 10)
        except ProcessLookupError:
            pass

    def text(self):
        try:
            return self.said.read_text(errors="replace").strip()
        except OSError:
            return ""

    @staticmethod
    def wait_for(pid, seconds):
        """The status; None when it is still there."""
        try:
            descriptor, poll = os.pidfd_open(pid), select.poll()
        except ProcessLookupError: # its archiver heard of its end, and was killed then
            return Process.UNKNOWN
        poll.register(descriptor, select.POLLIN)
        is_over = poll.poll(seconds * 1000)
        os.close(descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if is_over else None

    def kill_archiver(self):
        """From now on the program is an orphan, and ours."""
        if self.archiver is not None:
            os.kill(self.archiver, signal.SIGKILL)
            status = os.waitstatus_to_exitcode(os.waitpid(self.archiver, 0)[1])
            self.archiver = None
            if status >= 0: # it had heard of the program's end
                self.status = status

    def wait(self, seconds=WAIT_SECONDS):
        if self.status is None:
            self.status = self.wait_for(self.archiver or self.pid, seconds)
            if self.archiver is not None and self.status is not None:
                self.archiver = None
                if self.status > 128: # the shell's way to tell of a signal
                    self.status = 128 - self.status
            require(self.status is not None or seconds < self.WAIT_SECONDS, f"process {self.pid} does not end: {self.text()}")
        return self.status

    def is_over(self):
        return self.wait(0) is not None

    def end(self):
        self.kill_archiver()
        self.send(signal.SIGCONT)
        self.send(signal.SIGKILL)
        self.wait()


class Watch:
    """Waits for what others read in a directory: a program can be stopped in the middle of a file."""
    def __init__(self, directory):
        self.fd, self.poll = LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), select.poll()
        LIBC.inotify_add_watch(self.fd, os.fsencode(directory), 0x21) # IN_ACCESS, IN_OPEN
        self.poll.register(self.fd, select.POLLIN)

    def wait(self, events, seconds):
        """For so many of them, or so long."""
        end = time.monotonic() + seconds
        while events > 0 and self.poll.poll(max(0, end - time.monotonic()) * 1000):
            data, at = os.read(self.fd, 65536), 0
            while at < len(data):
                at += 16 + struct.unpack_from("I", data, at + 12)[0]
                events -= 1

    def end(self):
        os.close(self.fd)


# ---- sequences

class Sequence:
    """One sequence: steps are drawn by draw(); note() is what is printed when it fails."""
    def __init__(self, number, seed):
        self.number, self.rng, self.trace, self.counts = number, random.Random(f"{seed} {number}"), [], Counter()

    def note(self, text):
        self.trace.append(text)

    def count(self, what, number=1):
        self.counts[what] += number


def run_worker(make, numbers, seed, out):
    become_reaper()
    counts, failures = Counter(), 0
    for number in numbers:
        sequence = make(number, seed)
        try:
            sequence.run()
        except Exception as error: # also the test's own faults
            failures += 1
            text = str(error) if isinstance(error, Wrong) else traceback.format_exc()
            print(f"\nFAILED: sequence {number} (SEED={seed} SEQUENCE={number} repeats it):\n"
                  + "".join(f"    {line}\n" for line in sequence.trace) + f"  WRONG: {text}", flush=True)
        finally:
            sequence.end()
        counts.update(sequence.counts)
        counts["sequences"] += 1
        if failures >= 3:
            break
    out.write(json.dumps([counts, failures]))
    out.close()


def run_sequences(worker_maker, count, seed, only, workers=4):
    """Mostly they wait for a store that fails. worker_maker(INDEX) gives what makes a sequence. only: one sequence again and again. True if none failed."""
    began, pids, pipes = time.time(), [], []
    for index in range(workers):
        told, tells = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
                os.close(told)
                numbers = [only] * max(1, count // workers) if only is not None else range(index, count, workers)
                run_worker(worker_maker(index), numbers, seed, os.fdopen(tells, "w"))
                status = 0
            except BaseException: # SystemExit too: a fork must not return to its parent's code
                traceback.print_exc()
            finally:
                atexit._run_exitfuncs()
                sys.stdout.flush()
                os._exit(status)
        os.close(tells)
        pids.append(pid)
        pipes.append(os.fdopen(told))
    def stop(*_):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass

    signal.signal(signal.SIGTERM, stop)
    total, failures = Counter(), 0
    for pid, pipe in zip(pids, pipes):
        text = pipe.read()
        status = os.waitpid(pid, 0)[1]
        counts, failed = json.loads(text) if text and status == 0 else ({}, 1)
        total.update(counts)
        failures += failed
    for what, number in sorted(total.items()):
        print(f"{number:8d} {what}")
    print(f"seed {seed}: {total['sequences']} sequences, {failures} failed, {time.time() - began:.1f} s", flush=True)
    return failures == 0, total
