#!/usr/bin/env python3
"""Verifies a Hangu audit log without any code of Hangu.

Written from `audit-format.md` beside it, with nothing but Python's standard library (and the command `zstd` for compressed
segments), so that an auditor can read all of what he trusts. Exit status: 0 the log is sound, 1 it is damaged (the first
bad place is named), 2 it cannot be judged.
"""

import argparse
import base64
import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys

SEGMENT = re.compile(r"audit-(\d{12,20})\.jsonl(\.zst)?")
END = re.compile(rb',"hash":"([0-9a-f]{64})"\}\n')
START = re.compile(rb'\{"v":2,"seq":([1-9][0-9]*),')
VERSION = re.compile(rb'\{"v":([0-9]+),"seq":')
ALGORITHM = re.compile(rb'\{"v":2,"seq":[1-9][0-9]*,"algorithm":"([^"]*)"')
PREVIOUS = re.compile(rb',"prev":"([0-9a-f]{64})"')
HEAD = re.compile(rb'\{"v":2,"seq":(0|[1-9][0-9]*),"hash":"([0-9a-f]{64})"\}\n')
LINE_BYTES_MAX = 163_840


class Damage(Exception):
    """The first place where the log is not what was written."""


def main():
    parser = argparse.ArgumentParser(description="verify a Hangu audit log")
    parser.add_argument("dir")
    parser.add_argument("--key", action="append", default=[], type=verifier_key, help="NAME+ID+KEY that must have signed the log")
    parser.add_argument("--witness-key", action="append", default=[], type=verifier_key, help="a witness that must have cosigned it")
    parser.add_argument("--checkpoint", action="append", default=[], help="a file kept elsewhere, which the log must continue")
    args = parser.parse_args()
    try:
        # What is read first can only be behind the segments that are read later, should somebody be writing them.
        promises = [promise("checkpoint", beside(args.dir, "checkpoint"), args.key)]
        promises += [promise("checkpoint.witnessed", beside(args.dir, "checkpoint.witnessed"), args.witness_key)]
        for path in args.checkpoint:
            promises.append((path, *kept_elsewhere(path, args.key + args.witness_key)))
        head = beside(args.dir, "head.json")
        gone, hashes, finished = check_chain(args.dir, covered(promises, args.key, args.witness_key))
        if head is None and not hashes and not any(size for _, size, _ in promises):
            raise ValueError(f"{args.dir}: no audit log here")
        check_head(head, hashes)
        leaves = gone_leaves(args.dir, gone) + hashes[gone:]
        check_tree(args.dir, leaves, finished)
        for name, size, root in promises:
            check_promise(name, size, root, leaves)
    except Damage as damage:
        print(damage, file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    begins = f" from {gone + 1} on" if gone else ""
    signed, cosigned = (promises[0][1] if args.key else 0), (promises[1][1] if args.witness_key else 0)
    said = f"signed up to {signed}" + (f", cosigned up to {cosigned}" if args.witness_key else "")
    print(f"good: {len(hashes)} records{begins}, tree root {base64.b64encode(tree_root(leaves)).decode()}, {said}")
    return 0


def covered(promises, keys, witness_keys):
    """How many records are under checkpoints that count: with a key those whose signature was checked; None without any."""
    signed, witnessed, *kept = [size for _, size, _ in promises]
    sizes = [size for size, given in ((signed, keys), (witnessed, witness_keys)) if given or not keys + witness_keys]
    return max(sizes + kept) if any(sizes) else None


def check_chain(folder, signed):
    """How many records are gone, the hash of every record (None for those), and how many are in finished segments."""
    names = {}
    # Where a segment is there in both forms, the plain one counts.
    for name in sorted(os.listdir(folder), reverse=True):
        if (match := SEGMENT.fullmatch(name)) and os.path.isfile(os.path.join(folder, name)):
            names[int(match[1])] = name
    names = [names[first] for first in sorted(names)]
    gone = int(SEGMENT.fullmatch(names[0])[1]) - 1 if names else 0
    hashes, finished, named = [None] * gone, 0, []
    for name in names:
        first = int(SEGMENT.fullmatch(name)[1])
        if first != len(hashes) + 1:
            raise Damage(f"{name}: begins with record {first}, not {len(hashes) + 1}: a segment is missing")
        finished = len(hashes)
        for number, line in enumerate(lines_of(os.path.join(folder, name)), 1):
            if not line.endswith(b"\n") and name == names[-1] and is_written(folder):
                break
            if len(hashes) == gone and gone:
                before = PREVIOUS.fullmatch(line[:-76][-74:])
                hashes[-1] = bytes.fromhex(before[1].decode()) if before else None
            hashes.append(check_line(f"{name}:{number}", line, hashes))
            if gone and (b'"kind":"retention"' in line[:192] or b'"kind":"restored"' in line[:192]):
                record = json.loads(line)
                if signed is None or len(hashes) <= signed:
                    named.append((record.get("removed_through", 0), record.get("removed_hash")))
        if len(hashes) == finished and name != names[-1]:
            raise Damage(f"{name}: is empty, but others follow")
    if gone and not any(to > gone or (to, of) == (gone, hashes[gone - 1].hex()) for to, of in named):
        raise Damage(f"{names[0]}: no signed record says that those before {gone + 1} were removed: segments were deleted")
    return gone, hashes, finished


def lines_of(path):
    """The lines of a segment, plain or compressed; Python learned zstd in 3.14, so the command does it."""
    if not path.endswith(".zst"):
        with open(path, "rb") as segment:
            yield from segment
        return
    done = subprocess.run(["zstd", "-dcq", path], capture_output=True, check=False)
    yield from done.stdout.splitlines(keepends=True)
    if done.returncode:
        raise Damage(f"{os.path.basename(path)}: cannot be unpacked: {done.stderr.decode(errors='replace').strip()}")


def check_line(place, line, hashes):
    """The hash of a record that follows from the ones before."""
    expected = len(hashes) + 1
    if not line.endswith(b"\n"):
        raise Damage(f"{place}: record {expected}: has no end: the log was cut, or its writer crashed")
    body, end = line[:-76], END.fullmatch(line[-76:])
    if not end or len(line) > LINE_BYTES_MAX:
        raise Damage(f"{place}: record {expected}: is not a record")
    if (version := VERSION.match(body)) and version[1] != b"2":
        raise Damage(f"{place}: record {expected}: is of another version of the format than 2, or was changed")
    if (named := ALGORITHM.match(body)) and named[1] != b"sha256":
        raise Damage(f"{place}: record {expected}: is hashed by another algorithm than sha256, or was changed")
    if sha256(b"\x00" + body).hex().encode() != end[1]:
        raise Damage(f"{place}: record {expected}: was changed after it was written")
    start, previous = START.match(body), PREVIOUS.fullmatch(body[-74:])
    if not start or not previous:
        raise Damage(f"{place}: record {expected}: is not a record")
    if int(start[1]) != expected:
        raise Damage(f"{place}: record {expected}: record {int(start[1])} stands there")
    if bytes.fromhex(previous[1].decode()) != (hashes[-1] if hashes else bytes(32)):
        raise Damage(f"{place}: record {expected}: does not follow from the one before")
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        raise Damage(f"{place}: record {expected}: is not JSON") from None
    return bytes.fromhex(end[1].decode())


def check_head(found, hashes):
    """`head.json` names a record that is there."""
    if found is None:
        raise Damage("head.json: is missing, so a cut tail could not be seen")
    head = HEAD.fullmatch(found)
    if not head and (version := VERSION.match(found)) and version[1] != b"2":
        raise Damage("head.json: is of another version of the format than 2")
    if not head:
        raise Damage("head.json: was changed")
    sequence, digest = int(head[1]), bytes.fromhex(head[2].decode())
    if sequence > len(hashes):
        raise Damage(f"head.json: knows record {sequence}, but the log ends with {len(hashes)}: the tail was cut off")
    if digest != (hashes[sequence - 1] if sequence else bytes(32)):
        raise Damage(f"head.json: knows another record {sequence}")


def gone_leaves(folder, gone):
    """The leaves of the records that are gone, from the tree's own file; a checkpoint proves them."""
    data = (beside(folder, "tree/level-0") or b"")[: gone * 32]
    if len(data) < gone * 32:
        raise Damage("tree: is missing or too short, and its first records are gone")
    return [data[at : at + 32] for at in range(0, len(data), 32)]


def check_tree(folder, leaves, finished):
    """The files of the tree, as far as they belong to finished segments; a missing file or end is no damage."""
    for height in range(0, 64, 8):
        data = beside(folder, f"tree/level-{height}") or b""
        for index in range(min(finished >> height, len(data) // 32)):
            if data[index * 32 :][:32] != tree_root(leaves[index << height : (index + 1) << height]):
                raise Damage(f"tree/level-{height}: hash {index} is not that of the records")


def tree_root(leaves):
    """RFC 6962 section 2.1, over the hashes of the leaves."""
    if not leaves:
        return sha256(b"")
    level = leaves
    # An odd node at the end stands for itself one level up, which gives the RFC's tree.
    while len(level) > 1:
        pairs = [sha256(b"\x01" + level[at] + level[at + 1]) for at in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def promise(name, note, keys):
    """What a checkpoint in the folder promises; with keys it must be there, signed by one of them."""
    if note is None:
        if keys:
            raise Damage(f"{name}: is missing, but a key was given")
        return name, 0, None
    try:
        return name, *read_checkpoint(note, keys)
    except ValueError as error:
        raise Damage(f"{name}: {error}") from None


def kept_elsewhere(path, keys):
    """What a checkpoint promises that is no part of the log: a bad one is not the log's fault."""
    with open(path, "rb") as file:
        note = file.read()
    try:
        return read_checkpoint(note, keys)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_checkpoint(note, keys):
    """Size and root of a checkpoint (C2SP tlog-checkpoint)."""
    text, _, signatures = note.decode("utf-8", "replace").rpartition("\n\n")
    lines = text.split("\n")
    if len(lines) < 3 or not re.fullmatch(r"0|[1-9][0-9]*", lines[1]):
        raise ValueError("is not a checkpoint")
    if keys and not any([is_signed(text + "\n", signatures, key) for key in keys]):
        raise ValueError("is not signed by the key")
    return int(lines[1]), lines[2]


def check_promise(name, size, root, leaves):
    if size > len(leaves):
        raise Damage(f"{name}: promises {size} records, but the log ends with {len(leaves)}")
    if root is not None and root != base64.b64encode(tree_root(leaves[:size])).decode():
        raise Damage(f"{name}: the log has another root for {size} records: it was rewritten")


def verifier_key(text):
    """Name, id, and type and key of a `NAME+ID+KEY`."""
    name, key_id, key = text.split("+", 2)
    public = base64.b64decode(key, validate=True)
    expected = sha256(name.encode() + b"\n" + public)[:4]
    if len(public) != 33 or public[0] not in (1, 4) or key_id != expected.hex():
        raise ValueError("is not a verifier key")
    return name, expected, public


def is_signed(text, signatures, key):
    """Whether a line under the note is a good signature by the key: C2SP signed-note type 1, tlog-cosignature type 4."""
    (name, key_id, public), good = key, False
    for line in signatures.split("\n"):
        parts = line.split(" ")
        if len(parts) != 3 or parts[:2] != ["\u2014", name]:
            continue
        signature = base64.b64decode(parts[2], validate=True)
        if signature[:4] != key_id:
            continue
        message, signature = text.encode(), signature[4:]
        if public[0] == 4:
            time = int.from_bytes(signature[:8], "big")
            message, signature = f"cosignature/v1\ntime {time}\n".encode() + message, signature[8:]
        if not ed25519_verify(public[1:], message, signature):
            return False
        good = True
    return good


# Ed25519 after RFC 8032 section 5.1.7; slow, and short enough to be read.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def ed25519_verify(public, message, signature):
    if len(public) != 32 or len(signature) != 64:
        return False
    key, commitment = point(public), point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % ORDER
    base = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    one, other = times(scalar, base), add(commitment, times(challenge, key))
    return all((one[at] * other[2] - other[at] * one[2]) % P == 0 for at in (0, 1))


def point(encoded):
    """Bytes to a point in extended coordinates, or None."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


def add(one, other):
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(scalar, summand):
    total = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = add(total, summand)
        summand, scalar = add(summand, summand), scalar >> 1
    return total


def sha256(data):
    return hashlib.sha256(data).digest()


def beside(folder, name):
    """The bytes of a file of the folder; None when it is not there."""
    path = os.path.join(folder, name)
    if os.path.exists(path) and not os.path.isfile(path):
        raise Damage(f"{name}: is no file")
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def is_written(folder):
    """Whether a process holds the log's lock."""
    try:
        with open(os.path.join(folder, "lock"), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
