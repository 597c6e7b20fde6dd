"""The bridge's own certificate authority and the certificate it serves (docs/protocol.md section 3).

Knows nothing about pairing or HTTP. Keys are EC P-256; the authority lives ten years, the leaf 397 days
and is made anew when a name changes, when 30 days are left, when its time has not come or when its files do
not fit together. Both begin 30 days in the past, for devices whose clock is behind.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .errors import BridgeError
from .files import make_private_folder, write_private
from .names import LOOPBACK_NAMES

log = logging.getLogger(__name__)

AUTHORITY_DAYS = 3650
LEAF_DAYS = 397
RENEW_BELOW_DAYS = 30
# A clock that was never set right is often some days behind; a leaf that begins later would shut it out.
MARGIN_DAYS = 30


@dataclass(frozen=True)
class Authority:
    """The public part that a device needs: the certificate (DER) and its SHA-256 in hex."""

    certificate: bytes
    fingerprint: str


def clock() -> dt.datetime:
    """This computer's idea of now."""
    return dt.datetime.now(dt.UTC)


def load_authority(folder: Path) -> Authority:
    """Read the authority in `folder`, or make one at the first use."""
    certificate, _ = _authority(folder)
    der = certificate.public_bytes(serialization.Encoding.DER)
    return Authority(der, hashlib.sha256(der).hexdigest())


def server_context(folder: Path, names: tuple[str, ...]) -> ssl.SSLContext:
    """A TLS 1.3 server context with a certificate for `names` (addresses or DNS names) and loopback."""
    wanted = tuple(sorted({*names, *LOOPBACK_NAMES}))
    certificate, key = _authority(folder)
    leaf_path, key_path = folder / "leaf.pem", folder / "leaf.key.pem"
    if not _leaf_fits(leaf_path, key_path, certificate, wanted):
        _write_leaf(leaf_path, key_path, certificate, key, wanted)
        log.info("PocketVideo made a certificate for %s.", ", ".join(wanted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(leaf_path, key_path)
    return context


def _authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate_path, key_path = folder / "ca.pem", folder / "ca.key.pem"
    if not certificate_path.exists() and not key_path.exists():
        make_private_folder(folder)
        _make_authority(certificate_path, key_path)
    try:
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise BridgeError(
            f"The bridge's certificate authority in {folder} cannot be read ({error}); "
            "delete ca.pem and ca.key.pem there and pair your devices again."
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise BridgeError(
            f"ca.pem and ca.key.pem in {folder} do not belong together; "
            "delete both and pair your devices again."
        )
    now = clock()
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise BridgeError(
            f"This computer's clock says {now:%Y-%m-%d}, outside the time of the bridge's certificates "
            f"({certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}); "
            f"set the clock, or if it is right, delete ca.pem and ca.key.pem in {folder} and pair your "
            "devices again."
        )
    return certificate, key


def _make_authority(certificate_path: Path, key_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"PocketVideo desk {serial % 16**8:08x}")])
    now = clock()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - dt.timedelta(days=MARGIN_DAYS))
        .not_valid_after(now + dt.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(key_path, _private_pem(key))
    write_private(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))


def _write_leaf(
    leaf_path: Path,
    key_path: Path,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    names: tuple[str, ...],
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    begin = clock() - dt.timedelta(days=MARGIN_DAYS)
    # Never earlier than its authority, which some verifiers ask for.
    begin = max(begin, authority.not_valid_before_utc)
    end = min(begin + dt.timedelta(days=LEAF_DAYS), authority.not_valid_after_utc)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "PocketVideo bridge")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    write_private(key_path, _private_pem(key))
    write_private(leaf_path, leaf.public_bytes(serialization.Encoding.PEM))


def _leaf_fits(leaf_path: Path, key_path: Path, authority: x509.Certificate, names: tuple[str, ...]) -> bool:
    try:
        leaf = x509.load_pem_x509_certificate(leaf_path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        leaf.verify_directly_issued_by(authority)
        held = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    now = clock()
    return (
        isinstance(key, ec.EllipticCurvePrivateKey)
        and key.public_key() == leaf.public_key()
        and leaf.not_valid_before_utc <= now
        and (leaf.not_valid_after_utc - now).days >= RENEW_BELOW_DAYS
        and set(held) == {_general_name(name) for name in names}
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
