"""The bytes of a store, all of its files together."""

import hashlib


def hash_store(path):
    """SHA-256 of names and contents; what else lies beside the store, such as drafts, must be gone by itself."""
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(path)} ".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
