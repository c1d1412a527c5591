#!/usr/bin/env python3
"""synthetic.py DIRECTORY: makes a repository of small objects there, as docs/format.md has it, from lines on standard input:

  wal TIMELINE FIRST LAST [AGE]           segments by number (16 MiB each); AGE: in days, since they were stored
  told TIMELINE FIRST LAST                the same, with trailers that tell of a commit in each, a second after the one before
  history TIMELINE PARENT SEGMENT         TIMELINE left PARENT in the middle of this segment
  backup TIMELINE FIRST LAST AGE [STATE]  of WAL from one segment to another, ended so many days ago; STATE: complete (the
                                          default), unfinished (AGE: its last sign), damaged. Its id is printed
  object KEY [AGE]                        anything else below the system's folder

The system is 7400000000000000001, the cluster main. Nothing in a segment or part can be restored.
"""
import sys
sys.dont_write_bytecode = True
import datetime, hashlib, json, os, time
from pathlib import Path
from property import seal

SEGMENT, SEGMENTS_PER_LOG, DAY = 16 * 1024 * 1024, 256, 86400
SYSTEM = 7400000000000000001


def text_of(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def lsn_text(lsn):
    return f"{lsn >> 32:X}/{lsn & 0xffffffff:X}"


def segment_name(timeline, number):
    return f"{timeline:08X}{number // SEGMENTS_PER_LOG:08X}{number % SEGMENTS_PER_LOG:08X}"


def segment_key(timeline, number):
    name = segment_name(timeline, number)
    return f"wal/{name[:16]}/{name}"


def backup_id(began, timeline, lsn):
    stamp = datetime.datetime.fromtimestamp(int(began), datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return f"{stamp}-{timeline:08X}-{lsn:016X}"


def document(kind, **members):
    text = json.dumps({"walferry": 1, "kind": kind, **members}, separators=(",", ":"))[:-1].encode()
    return text + b',"sha256":"' + hashlib.sha256(text).hexdigest().encode() + b'"}\n'


def manifest(identifier, system, timeline, start, stop, ended, parts=1, part_bytes=1, index_bytes=1):
    return document(
        "manifest", id=identifier, system_identifier=str(system), postgresql_version=15, server_version=150018, timeline=timeline,
        start_lsn=lsn_text(start), stop_lsn=lsn_text(stop), start_time=text_of(ended - 60), stop_time=text_of(ended), covered_until=text_of(ended),
        segment_bytes=SEGMENT, block_bytes=8192, data_checksums=True, from_standby=False, wal_included=False, label="", host="db",
        annotations={}, tablespaces=[], databases=[], external=[], part_count=parts, file_count=1, plain_bytes=1, stored_bytes=part_bytes,
        codec="lz4", zero_pages=0, page_errors=0, page_error_list=[], files_sha256="0" * 64, files_bytes=index_bytes)


def cluster(systems):
    condition = "refused" if os.environ.get("S3_SERVER") == "swift" else "honoured"
    return document(
        "cluster", name="main", encryption="none", put_if_absent=condition, versioned=False,
        generations=[dict(system_identifier=str(system), postgresql_version=15, control_version=1300, catalog_version=202209061,
                          segment_bytes=SEGMENT, added="2025-01-01T00:00:00Z") for system in systems])


def history(system, timeline, ancestors):
    """ancestors: [(timeline, where it was left)]. The file's name and the object."""
    text = "".join(f"{parent}\t{lsn_text(end)}\tno recovery target specified\n" for parent, end in ancestors).encode()
    name = f"{timeline:08X}.history"
    return name, seal(text, "history", name, str(system), timeline)


class Objects:
    """Below the cluster's folder of a directory repository, each with the time at which it was stored."""
    def __init__(self, root):
        self.root = Path(root) / "main"

    def put(self, key, content, when):
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (when, when))


def main(directory):
    objects, now, ancestors = Objects(directory), time.time(), {}

    def put(key, content, age):
        objects.put(f"{SYSTEM}/{key}", content, now - float(age) * DAY)
    objects.put("cluster.json", cluster([SYSTEM]), now)
    for line in sys.stdin:
        what, *words = line.split() or ["#"]
        if what == "wal":
            for number in range(int(words[1]), int(words[2]) + 1):
                put(segment_key(int(words[0]), number), b"x", (words[3:] or [0])[0])
        elif what == "told":
            for number in range(int(words[1]), int(words[2]) + 1):
                commit = dict(whole=True, transactions=1, times=[text_of(now - DAY + number)] * 2,
                              last_lsn=lsn_text(number * SEGMENT + 4096), xids=[1000 + number] * 2)
                name = segment_name(int(words[0]), number)
                objects.put(f"{SYSTEM}/{segment_key(int(words[0]), number)}",
                            seal(b"%d" % number, "segment", name, str(SYSTEM), int(words[0]), records=commit), now)
        elif what == "history":
            timeline, parent, number = map(int, words)
            ancestors[timeline] = ancestors.get(parent, []) + [(parent, number * SEGMENT + SEGMENT // 2)]
            name, content = history(SYSTEM, timeline, ancestors[timeline])
            put(f"wal/{name}", content, 0)
        elif what == "backup":
            timeline, first, last, age, state = int(words[0]), int(words[1]), int(words[2]), float(words[3]), (words[4:] or ["complete"])[0]
            start, stop, ended = first * SEGMENT + 4096, last * SEGMENT + 8192, now - age * DAY
            identifier = backup_id(ended - 60, timeline, start)
            content = document("started", backup=identifier)
            for name in ("started.json", "main-00000001", "main-00000002", *(["files"] if state != "unfinished" else [])):
                put(f"base/{identifier}/{name}", content, age)
            if state != "unfinished":
                content = manifest(identifier, SYSTEM, timeline, start, stop, ended, 2, 2 * len(content), len(content))
                put(f"base/{identifier}/manifest.json", content[:-9] + b"x" * 9 if state == "damaged" else content, age)
            print(identifier)
        elif what == "object":
            put(words[0], b"x", (words[1:] or [0])[0])
        elif what[0] != "#":
            sys.exit(f"synthetic.py: {line}")


if __name__ == "__main__":
    main(*sys.argv[1:])
