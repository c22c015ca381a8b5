"""Signed heads of the record: the tree of RFC 6962, the note, proofs for third parties, and what a witness finds out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit import outside
from gateway.audit.heads import NoKey, Signer, generate, lines_of, proof
from gateway.audit.outside import Tree, Wrong
from gateway.audit.sealer import Sealer
from gateway.audit.verify import verify_files
from gateway.store import Store
from tests.audit import tampering
from tests.audit.conftest import emit

VECTORS = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The leaves and roots by which Certificate Transparency's own implementations are tested."""


def test_the_tree_is_that_of_rfc_6962() -> None:
    tree = Tree()
    assert tree.root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for leaf, root in zip(VECTORS, ROOTS, strict=True):
        tree.append(outside.leaf_hash(leaf))
        assert tree.root().hex() == root


LEAVES = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70)


@given(LEAVES, st.data())
def test_every_leaf_is_proven_and_no_other(leaves: list[bytes], data: Any) -> None:
    root, size = outside.root_of(leaves, "sha256"), len(leaves)
    index = data.draw(st.integers(0, size - 1))
    path = outside.inclusion_proof(index, leaves)
    assert outside.check_inclusion(index, size, leaves[index], path, root)
    assert not outside.check_inclusion(index, size, b"x" * 32, path, root)
    assert not outside.check_inclusion(index, size, leaves[index], [*path, b"y" * 32], root)
    other = data.draw(st.integers(0, size))
    if other != index and (other >= size or leaves[other] != leaves[index]):
        assert not outside.check_inclusion(other, size, leaves[index], path, root)


@given(LEAVES, st.data())
def test_a_tree_that_only_grew_is_proven_and_a_changed_one_is_not(leaves: list[bytes], data: Any) -> None:
    first = data.draw(st.integers(1, len(leaves)))
    old, new = outside.root_of(leaves[:first], "sha256"), outside.root_of(leaves, "sha256")
    path = outside.consistency_proof(first, leaves)
    assert outside.check_consistency(first, len(leaves), old, new, path)
    assert not outside.check_consistency(first, len(leaves), b"x" * 32, new, path)
    if first < len(leaves):
        assert not outside.check_consistency(first, len(leaves), old, b"x" * 32, path)


@given(LEAVES)
@settings(max_examples=50)
def test_a_tree_kept_as_its_edge_goes_on_as_if_never_put_away(leaves: list[bytes]) -> None:
    whole, kept = Tree(), Tree()
    for leaf in leaves:
        whole.append(leaf)
        kept = Tree(kept.size, kept.edge)
        kept.append(leaf)
    assert kept.root() == whole.root() == outside.root_of(leaves, "sha256")


def test_an_edge_that_does_not_fit_is_refused() -> None:
    with pytest.raises(Wrong, match="agree"):
        Tree(3, [b"x" * 32])


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer("city.test/audit", generate())


def test_a_note_tells_its_head_and_any_change_is_seen(signer: Signer) -> None:
    root = bytes(range(32))
    note = signer.note(42, root)
    name, public = outside.parse_key(signer.verifier_key)
    assert outside.parse_note(note, name, public) == outside.Head("city.test/audit", 42, root)
    sm3 = signer.note(7, root, "sm3")
    assert outside.parse_note(sm3, name, public).algorithm == "sm3"
    for position in range(len(note)):
        changed = note[:position] + ("A" if note[position] != "A" else "B") + note[position + 1 :]
        with pytest.raises(Wrong):
            outside.parse_note(changed, name, public)
    other = Signer("city.test/audit", generate())
    with pytest.raises(Wrong, match="no signature"):
        outside.parse_note(note, other.name, other.public)


def test_a_signature_in_another_spelling_is_seen(signer: Signer) -> None:
    note = signer.note(42, bytes(32))
    name, public = outside.parse_key(signer.verifier_key)
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    assert note.endswith("=\n")
    last = note[-3]
    for spare in (1, 2, 3):
        other = note[:-3] + signs[signs.index(last) + spare] + "=\n"
        with pytest.raises(Wrong, match="does not hold"):
            outside.parse_note(other, name, public)


def test_what_is_no_key_is_refused() -> None:
    for text in ("", "a+b+c", "a+00000000+AAAA", outside.verifier_key("n", bytes(32)).replace("n+", "m+", 1)):
        with pytest.raises(Wrong):
            outside.parse_key(text)
    for pem in (b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
        with pytest.raises(NoKey):
            Signer("n", pem)


def sealed(store: Store, make_sealer: Any, count: int) -> Sealer:
    emit(store, count)
    sealer: Sealer = make_sealer(store)
    while sealer.run_once():
        pass
    return sealer


def test_the_sealer_keeps_the_tree_over_a_restart_and_a_lost_note(memory: Store, make_sealer: Any, log: Path) -> None:
    sealer = sealed(memory, make_sealer, 25)
    before = sealer.head()
    assert before[0] == 25 and before[1] == outside.root_of([outside.leaf_hash(one) for one in lines_of([log])], "sha256")
    sealer.close()
    again = make_sealer(memory)
    again.run_once()
    assert again.head() == before
    again.close()
    sealer = sealed(memory, make_sealer, 3)
    size, root, _algorithm = sealer.head()
    assert size == 28 and root == outside.root_of([outside.leaf_hash(one) for one in lines_of([log])], "sha256")


@pytest.fixture
def record(memory: Store, make_sealer: Any, log: Path, signer: Signer, tmp_path: Path) -> tuple[Path, Path]:
    """A log of 60 lines, and a witness that holds its head."""
    sealer = sealed(memory, make_sealer, 60)
    witness = tmp_path / "witness"
    witness.write_text(signer.note(*sealer.head()), "utf-8")
    return log, witness


def outcome(log: Path, witness: Path, signer: Signer) -> str:
    try:
        name, public = outside.parse_key(signer.verifier_key)
        outside.check_files([log], outside.read_witness([witness], name, public))
    except Wrong as wrong:
        return str(wrong)
    return ""


def test_a_witness_finds_a_log_that_was_cut_off(record: tuple[Path, Path], signer: Signer) -> None:
    log, witness = record
    assert outcome(log, witness, signer) == ""
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]))
    assert verify_files([log]).broken is None, "the chain alone cannot see it"
    assert "the witness holds 60, the log ends at 59" in outcome(log, witness, signer)
    log.write_bytes(b"")
    assert "the witness holds 60" in outcome(log, witness, signer)


def test_a_witness_finds_a_log_that_was_written_anew(record: tuple[Path, Path], signer: Signer, make_sealer: Any) -> None:
    from datetime import UTC, datetime

    from gateway.store import StoreKeys

    log, witness = record
    log.rename(log.with_name("put-away"))
    forged = Store.open("sqlite://", StoreKeys(bytes(32)), lambda: datetime(2026, 3, 6, tzinfo=UTC))
    emit(forged, 61, by="他人")
    anew = make_sealer(forged)
    while anew.run_once():
        pass
    anew.close()
    forged.close()
    assert verify_files([log]).broken is None
    assert "are not those that the witness holds" in outcome(log, witness, signer)


def test_random_tampering_is_always_found(tmp_path: Path) -> None:
    told = tampering.Machine(tmp_path).run(600, 20260305)
    assert all(told[kind.__name__] >= 45 for kind in tampering.ALONE + tampering.WITNESSED), told


def test_a_third_party_checks_an_incident_and_that_the_record_only_grew(
    memory: Store, make_sealer: Any, log: Path, signer: Signer, tmp_path: Path
) -> None:
    sealer = sealed(memory, make_sealer, 20)
    before = signer.note(*sealer.head())
    sealer.close()
    sealed(memory, make_sealer, 20)
    made = proof(lines_of([log]), [3, 17, 40], signer, older=before)
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(made, ensure_ascii=False), "utf-8")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        tool = [sys.executable, "-I", str(Path(outside.__file__)), "--key", signer.verifier_key]
        return subprocess.run([*tool, *words], capture_output=True, text=True, check=False)

    good = run("--proof", str(file))
    assert (good.returncode, good.stdout) == (0, "3 lines are in the signed tree\n"), good.stderr
    made["lines"][1]["line"] = made["lines"][1]["line"].replace("2026", "2027", 1)
    file.write_text(json.dumps(made, ensure_ascii=False), "utf-8")
    assert run("--proof", str(file)).returncode == 1
    made = proof(lines_of([log]), [3], signer, older=before)
    made["consistent_with"]["path"] = made["consistent_with"]["path"][::-1]
    file.write_text(json.dumps(made, ensure_ascii=False), "utf-8")
    bad = run("--proof", str(file))
    assert bad.returncode == 1 and "no beginning" in bad.stderr
    assert run().returncode == 2
    assert run(str(log)).returncode == 0


def test_a_proof_whose_path_is_spelled_in_another_way_is_refused(
    memory: Store, make_sealer: Any, log: Path, signer: Signer
) -> None:
    """32 octets end in a sign with two spare bits: what does not hold in one spelling must not hold in another."""
    sealer = sealed(memory, make_sealer, 20)
    before = signer.note(*sealer.head())
    sealer.close()
    sealed(memory, make_sealer, 20)
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    name, public = outside.parse_key(signer.verifier_key)
    for where in ("consistent_with", "lines"):
        made = proof(lines_of([log]), [3], signer, older=before)
        assert outside.check_proof(made, name, public) == 1
        path = made[where]["path"] if where == "consistent_with" else made[where][0]["path"]
        path[0] = path[0][:-2] + signs[signs.index(path[0][-2]) + 1] + "="
        with pytest.raises(Wrong, match="not a proof"):
            outside.check_proof(made, name, public)


def test_the_tool_for_other_computers_needs_nothing_of_ours() -> None:
    import ast

    tree = ast.parse(Path(outside.__file__).read_text("utf-8"))
    names = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    allowed = set(sys.stdlib_module_names) | {"cryptography"}
    assert {name.split(".")[0] for name in names} <= allowed
