"""Who signs labels, and whose signatures are ours."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import io
import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final, Literal

import c2pa
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from inference.pipeline.labels.facts import DIGITAL_SOURCE_TYPE, LabelError, LabelMark

Signature = Literal["none", "foreign", "ours", "ours_changed"]
_ALGORITHMS: Final = {"secp256r1": "es256", "secp384r1": "es384"}
_GENERATOR: Final = {"name": "facefusion-platform", "version": "0.1.0"}
_PROOF_PREFIX: Final = b"facefusion-platform label 1\n"
_PROOF_LENGTH_MAX: Final = 256
_DAY: Final = "%Y%m%d"
# Whoever reads a file must not be made to call addresses that the file names.
_OFFLINE: Final[dict[str, Any]] = {
    "verify": {
        "verify_after_sign": False,
        "remote_manifest_fetch": False,
        "ocsp_fetch": False,
    },
    "builder": {"thumbnail": {"enabled": False}},
}


class LabelSigner:
    """Signs manifests and ids with one key."""

    def __init__(self, *, key_pem: bytes, chain_pem: bytes) -> None:
        """Take a key and its certificates.

        Args:
            key_pem: an unencrypted private key on the curve P-256 or P-384.
            chain_pem: its certificate first, then those that signed it.

        Raises:
            LabelError: no such key, no certificate, or they do not belong together.
        """
        try:
            key = load_pem_private_key(key_pem, password=None)
            leaf = certificates(chain_pem)[0]
        except (ValueError, TypeError) as error:
            raise LabelError(f"the signing key or its certificate cannot be read: {error}") from (
                error
            )
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _ALGORITHMS:
            raise LabelError("the signing key must be on the curve P-256 or P-384")
        if leaf.public_key() != key.public_key():
            raise LabelError("the signing key does not belong to the first certificate")
        self._key = key
        self._key_pem = key_pem
        self.chain_pem = chain_pem

    def proof(self, mark: LabelMark) -> str:
        """Our signature of the id and the day of a result: ``20261124.MEUC...``."""
        day = mark.made_on.strftime(_DAY)
        signature = self._key.sign(
            _signed(day, str(mark.produce_id)), ec.ECDSA(_hash_of(self._key.curve))
        )
        return f"{day}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"

    def sign(self, source: IO[bytes], out: IO[bytes], *, content_type: str) -> None:
        """Copy a file with a signed C2PA manifest put in; ``out`` is open for reading too.

        Raises:
            LabelError: the manifest cannot be written.
        """
        manifest = {
            "claim_generator_info": [_GENERATOR],
            "assertions": [
                {
                    "label": "c2pa.actions.v2",
                    "data": {
                        "actions": [
                            {"action": "c2pa.created", "digitalSourceType": DIGITAL_SOURCE_TYPE}
                        ]
                    },
                }
            ],
        }
        algorithm = _ALGORITHMS[self._key.curve.name]
        info = c2pa.C2paSignerInfo(algorithm.encode(), self.chain_pem, self._key_pem, None)
        try:
            with (
                _context(_OFFLINE) as context,
                c2pa.Builder(manifest, context=context) as builder,
                c2pa.Signer.from_info(info) as signer,
            ):
                builder.sign(signer, content_type, source, out)
        except c2pa.C2paError as error:
            raise LabelError(f"the manifest cannot be signed: {error}") from error

    def trust(self) -> LabelTrust:
        """What this signer signs is ours."""
        return LabelTrust(chains=[self.chain_pem])


class LabelTrust:
    """Tells our signatures from others; knows no secrets."""

    def __init__(self, *, chains: Sequence[bytes]) -> None:
        """Take the certificates of all signers that ever were ours.

        Args:
            chains: of each, its certificate first, then those that signed it; PEM.

        Raises:
            ValueError: one is no certificate.
        """
        parsed = [certificates(chain) for chain in chains]
        self._leaves = [chain[0] for chain in parsed]
        self._serials = {str(leaf.serial_number) for leaf in self._leaves}
        anchors = [certificate for chain in parsed for certificate in chain[1:] or chain]
        self._anchors_pem = "".join(
            certificate.public_bytes(Encoding.PEM).decode() for certificate in anchors
        )

    def day_of_proof(self, proof: str, *, produce_id: str) -> dt.date | None:
        """The day that one of us signed together with this id; None where nobody of us did."""
        day, _dot, encoded = proof[:_PROOF_LENGTH_MAX].partition(".")
        try:
            made_on = dt.datetime.strptime(day, _DAY).replace(tzinfo=dt.UTC).date()
            signature = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            uuid.UUID(produce_id)
        except (ValueError, binascii.Error):
            return None
        is_ours = any(
            _is_signed(leaf, signature, _signed(day, produce_id)) for leaf in self._leaves
        )
        return made_on if is_ours else None

    def signature_of(self, file: IO[bytes], *, content_type: str) -> Signature:
        """Whether a file's manifest is ours, and whether the file is still what we signed.

        Args:
            file: from anywhere, seekable.
            content_type: by its first bytes.
        """
        settings = {
            **_OFFLINE,
            "trust": {"trust_anchors": self._anchors_pem},
        }
        file.seek(0)
        try:
            with (
                _context(settings) as context,
                c2pa.Reader(content_type, file, context=context) as reader,
            ):
                return self._judge(json.loads(reader.json()))
        except c2pa.C2paError.ManifestNotFound:
            return "none"
        except c2pa.C2paError.NotSupported:
            return "none"
        except c2pa.C2paError:
            # There is something, but nothing that anybody could have signed.
            return "foreign"

    def _judge(self, store: dict[str, Any]) -> Signature:
        manifest = store.get("manifests", {}).get(store.get("active_manifest"), {})
        results = store.get("validation_results", {}).get("activeManifest", {})
        succeeded = {entry["code"] for entry in results.get("success", ())}
        failed = {entry["code"] for entry in results.get("failure", ())}
        serial = manifest.get("signature_info", {}).get("cert_serial_number")
        is_ours = (
            serial in self._serials
            and "claimSignature.validated" in succeeded
            and "signingCredential.trusted" in succeeded
        )
        if not is_ours:
            return "foreign"
        return "ours_changed" if failed else "ours"


def certificates(chain_pem: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM file, at least one.

    Raises:
        ValueError: there is none, or one is damaged.
    """
    return x509.load_pem_x509_certificates(chain_pem)


def sign_in_memory(signer: LabelSigner, data: bytes, *, content_type: str) -> bytes:
    """A small file with the manifest put in.

    Raises:
        LabelError: the manifest cannot be written.
    """
    out = io.BytesIO()
    signer.sign(io.BytesIO(data), out, content_type=content_type)
    return out.getvalue()


def sign_in_place(signer: LabelSigner, path: Path, *, content_type: str) -> None:
    """Replace a file by itself with the manifest put in.

    Raises:
        LabelError: the manifest cannot be written; the file is as it was.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.signed")
    try:
        with path.open("rb") as source, part.open("w+b") as out:
            signer.sign(source, out, content_type=content_type)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _context(settings: dict[str, Any]) -> c2pa.Context:
    return c2pa.Context(c2pa.Settings.from_dict(settings))


def _signed(day: str, produce_id: str) -> bytes:
    return _PROOF_PREFIX + f"{day}\n{produce_id}".encode()


def _hash_of(curve: ec.EllipticCurve) -> hashes.HashAlgorithm:
    return hashes.SHA384() if curve.name == "secp384r1" else hashes.SHA256()


def _is_signed(leaf: x509.Certificate, signature: bytes, data: bytes) -> bool:
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        key.verify(signature, data, ec.ECDSA(_hash_of(key.curve)))
    except InvalidSignature:
        return False
    return True
