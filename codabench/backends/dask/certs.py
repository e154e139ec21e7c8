"""A small certificate authority for one cluster, and certificates that it signs."""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from codabench.core.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

DAYS = 825
_AUTHORITY, _AUTHORITY_KEY = "ca.pem", "ca-key.pem"


def make_certificates(directory: Path, hosts: Sequence[str] = (), *, days: int = DAYS) -> list[Path]:
    """Write ``ca.pem``, ``ca-key.pem`` (unless they are there), ``cert.pem`` and ``key.pem``; returns what is new.

    Keys can be read by their owner only. Every machine of the cluster gets ``ca.pem``, ``cert.pem`` and ``key.pem``;
    ``ca-key.pem`` stays where it is: whoever has it can make certificates.

    Parameters
    ----------
    hosts
        Names and addresses in the certificate, besides ``localhost`` and ``127.0.0.1``.
    days
        How long it is good for.

    Raises
    ------
    UsageError
        ``CB655``: there is a certificate already, or a half of an authority.
    MissingExtra
        The package ``cryptography`` is not installed.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise MissingExtra("certificates need cryptography", hint="pip install 'codabench[cluster]'") from error
    made: list[Path] = []
    there = [name for name in (_AUTHORITY, _AUTHORITY_KEY) if (directory / name).exists()]
    if (directory / "cert.pem").exists() or len(there) == 1:
        what = f"{there[0]} alone" if len(there) == 1 else "a certificate"
        hint = "name another directory; for a new certificate of the same authority, remove cert.pem and key.pem"
        raise UsageError(f"there is {what} in {directory}", code="CB655", hint=hint)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = _read_authority(directory) if there else _make_authority(directory, days, made)
    key = ec.generate_private_key(ec.SECP256R1())
    made += [
        _write(directory / "cert.pem", _pem(_signed(key, authority, ["localhost", "127.0.0.1", *hosts], days))),
        _write(directory / "key.pem", _key_pem(key), mode=0o600),
    ]
    return made


Authority = tuple["x509.Certificate", "EllipticCurvePrivateKey"]


def _make_authority(directory: Path, days: int, made: list[Path]) -> Authority:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = _builder("codabench cluster authority", None, key, days)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    made += [
        _write(directory / _AUTHORITY, _pem(certificate)),
        _write(directory / _AUTHORITY_KEY, _key_pem(key), mode=0o600),
    ]
    return certificate, key


def _read_authority(directory: Path) -> Authority:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        certificate = x509.load_pem_x509_certificate((directory / _AUTHORITY).read_bytes())
        key = load_pem_private_key((directory / _AUTHORITY_KEY).read_bytes(), None)
    except (OSError, ValueError) as error:
        raise UsageError(f"the authority in {directory} cannot be read: {error}", code="CB655") from error
    if not isinstance(key, EllipticCurvePrivateKey):
        raise UsageError(f"the authority in {directory} is not one of ours", code="CB655")
    return certificate, key


def _signed(key: EllipticCurvePrivateKey, authority: Authority, hosts: Sequence[str], days: int) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    certificate, signer = authority
    names = x509.SubjectAlternativeName([_name(host) for host in dict.fromkeys(hosts)])
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = _builder("codabench cluster", certificate, key, days).add_extension(names, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(both, critical=False).add_extension(issuer, critical=False)
    return builder.sign(signer, hashes.SHA256())


def _builder(
    name: str, issuer: x509.Certificate | None, key: EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _name(host: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, data: bytes, mode: int = 0o644) -> Path:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
    return path
