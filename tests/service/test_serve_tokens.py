"""Tokens, roles, purposes and consents: who may ask what, and what no token can do."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from palpate.config.serve import ServeSettings
from palpate.errors import InputError
from palpate.service.serve.tokens import TokenCheck
from tests.conftest import Outcome
from tests.service.conftest import SessionFiles
from tests.service.serve_client import Issuer, ServiceClient, bearer, running

SPHERE = "/api/v1/subjects/01/sessions/01/region?sphere=-16,-10,27,8"

type Inside = Callable[..., Outcome]


@pytest.fixture(scope="module")
def results(finished_session: SessionFiles) -> Path:
    return finished_session.folder.parent.parent


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="module")
def client(results: Path, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceClient]:
    with running(results, tmp_path_factory.mktemp("service"), tokens=issuer.settings) as found:
        yield found


def _text(told: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")


def _claims(**changed: object) -> dict[str, Any]:
    told = {"iss": "https://login.example", "aud": "palpate", "sub": "x", "exp": int(time.time()) + 600}
    return told | {"scope": "study:study:planner"} | changed


def _none(_: Issuer) -> str:
    return f"{_text({'alg': 'none'})}.{_text(_claims())}."


def _none_signed(issuer: Issuer) -> str:
    return f"{_text({'alg': 'none'})}.{issuer.token(time.time()).split('.', 1)[1]}"


def _confused(issuer: Issuer) -> str:
    """A symmetric signature with the public key as its secret, which everyone knows."""
    public = issuer.key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{_text({'alg': 'HS256', 'kid': 'one'})}.{_text(_claims())}"
    mark = base64.urlsafe_b64encode(hmac.digest(public, signed.encode(), "sha256")).decode().rstrip("=")
    return f"{signed}.{mark}"


def _altered(issuer: Issuer) -> str:
    head, _, mark = issuer.token(time.time()).split(".")
    return f"{head}.{_text(_claims(sub='director'))}.{mark}"


def _foreign(_: Issuer) -> str:
    key = OKPKey.generate_key("Ed25519", {"kid": "one"})
    return jwt.encode({"alg": "EdDSA", "kid": "one"}, _claims(), key, algorithms=["EdDSA"])


def _own_key(_: Issuer) -> str:
    """The key in the token's own header."""
    key = OKPKey.generate_key("Ed25519")
    header = {"alg": "EdDSA", "jwk": key.as_dict(private=False)}
    return jwt.encode(header, _claims(), key, algorithms=["EdDSA"])


def _elsewhere(issuer: Issuer) -> str:
    return issuer.token(time.time(), header={"jku": "http://169.254.169.254/keys.json"}, iss="https://evil.example")


FORGED: dict[str, Callable[[Issuer], str]] = {
    "algorithm none": _none,
    "algorithm none over a signature": _none_signed,
    "public key as a secret": _confused,
    "altered claims": _altered,
    "another key of the same name": _foreign,
    "key in the header": _own_key,
    "keys elsewhere": _elsewhere,
    "expired": lambda issuer: issuer.token(time.time(), exp=int(time.time()) - 60),
    "expiry as text": lambda issuer: issuer.token(time.time(), exp="never"),
    "without expiry": lambda issuer: issuer.token(time.time(), exp=None),
    "not yet": lambda issuer: issuer.token(time.time(), nbf=int(time.time()) + 600),
    "another audience": lambda issuer: issuer.token(time.time(), aud="another"),
    "no audience": lambda issuer: issuer.token(time.time(), aud=None),
    "another issuer": lambda issuer: issuer.token(time.time(), iss="https://evil.example"),
    "no subject": lambda issuer: issuer.token(time.time(), sub=None),
    "scope as a list": lambda issuer: issuer.token(time.time(), scope=["study:study:planner"]),
    "key that nobody has": lambda issuer: issuer.token(time.time(), header={"kid": "two"}),
    "five parts": lambda issuer: issuer.token(time.time()) + ".x.y",
    "endless": lambda _: "a" * 9000 + ".b.c",
    "empty": lambda _: "..",
}


@pytest.mark.parametrize("name", FORGED)
def test_a_token_that_does_not_hold_opens_nothing(name: str, client: ServiceClient, issuer: Issuer) -> None:
    """Whatever the token says about itself, issuer, keys and algorithms are those of the settings."""
    answer = client.ask(SPHERE, headers=bearer(FORGED[name](issuer)))
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert client.ask(SPHERE, headers=bearer(issuer.token(time.time()))).status_code == 200


@pytest.mark.parametrize("header", [{}, {"Authorization": "Basic YTpi"}, {"Cookie": "token=x"}])
def test_without_a_token_nothing_is_told(header: dict[str, str], client: ServiceClient, issuer: Issuer) -> None:
    """Also not what there is; a token in the address would stay in logs, and counts for nothing."""
    token = issuer.token(time.time())
    for path in ("/api/v1/subjects", SPHERE, f"{SPHERE}&access_token={token}", "/api/v1/nothing"):
        assert client.ask(path, headers=header).status_code == 401


SCOPES = {
    "another study's": ("study:other:planner", 403, 403),
    "a longer name": ("study:study2:planner study:stud:planner", 403, 403),
    "none": ("", 403, 403),
    "auditor": ("study:study:auditor", 403, 403),
    "reader": ("study:study:reader", 200, 403),
    "planner": ("openid study:study:planner", 200, 201),
}


@pytest.mark.parametrize("name", SCOPES)
def test_scopes_are_of_one_study_and_role(name: str, client: ServiceClient, issuer: Issuer, results: Path) -> None:
    """A reader asks, a planner hands in contours as well, and nobody does either with another study's scope."""
    scope, asks, uploads = SCOPES[name]
    headers = bearer(issuer.token(time.time(), scope=scope))
    assert client.ask(SPHERE, headers=headers).status_code == asks
    mask = (results / "sub-01" / "ses-01" / "mre" / "sub-01_ses-01_desc-informed_mask.nii.gz").read_bytes()
    assert client.ask("/api/v1/regions", "POST", content=mask, headers=headers).status_code == uploads


def test_what_one_person_handed_in_another_cannot_use(client: ServiceClient, issuer: Issuer, results: Path) -> None:
    """Whoever learns a digest has no contour by it, and cannot tell whether it is there."""
    mine, other = (bearer(issuer.token(time.time(), sub=one)) for one in ("me", "somebody"))
    mask = (results / "sub-01" / "ses-01" / "mre" / "sub-01_ses-01_desc-informed_mask.nii.gz").read_bytes()
    digest = client.ask("/api/v1/regions", "POST", content=mask, headers=mine).json()["region"]
    path = f"/api/v1/subjects/01/sessions/01/region?region={digest}"
    assert client.ask(path, headers=mine).status_code == 200
    for wrong in (path, f"/api/v1/regions/{digest}"):
        assert client.ask(wrong, headers=other).status_code == 404
    assert client.ask(f"/api/v1/regions/{digest}", "DELETE", headers=other).status_code == 404
    assert client.ask(f"/api/v1/regions/{digest}", "DELETE", headers=mine).status_code == 204
    assert client.ask(path, headers=mine).status_code == 404


def test_keys_are_read_again_when_they_change(results: Path, tmp_path: Path) -> None:
    """A stolen key is taken out of the file, and its tokens end at once."""
    issuer = Issuer(tmp_path)
    with running(results, tmp_path / "home", tokens=issuer.settings) as client:
        token = issuer.token(time.time())
        assert client.ask(SPHERE, headers=bearer(token)).status_code == 200
        Issuer(tmp_path)
        assert client.ask(SPHERE, headers=bearer(token)).status_code == 401


@pytest.mark.parametrize(("kind", "algorithm"), [("EC", "ES256"), ("RSA", "RS256")])
def test_pinned_algorithms_of_other_keys_hold(kind: str, algorithm: str, results: Path, tmp_path: Path) -> None:
    """Hospitals' providers sign with RSA or elliptic curves; what the settings leave out does not hold."""
    parameters = {"kid": "k"}
    key = ECKey.generate_key("P-256", parameters) if kind == "EC" else RSAKey.generate_key(2048, parameters)
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    token = jwt.encode({"alg": algorithm, "kid": "k"}, _claims(), key, algorithms=[algorithm])
    settings = {"issuer": "https://login.example", "audience": "palpate", "keys": tmp_path / "keys.json"}
    for algorithms, status in (([algorithm], 200), (["EdDSA"], 401)):
        with running(results, tmp_path / status.__str__(), tokens=settings | {"algorithms": algorithms}) as client:
            assert client.ask(SPHERE, headers=bearer(token)).status_code == status


def test_keys_that_would_forge_are_refused_at_the_start(tmp_path: Path) -> None:
    """A secret or private key beside the service could sign what it checks; a short one can be broken."""
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    short = RSAKey.import_key(weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).as_dict()
    for key, told in (
        (OctKey.generate_key(256).as_dict(), "a secret key"),
        (OKPKey.generate_key("Ed25519").as_dict(private=True), "a private key"),
        (short, "bits"),
    ):
        (tmp_path / "keys.json").write_text(json.dumps({"keys": [key]}))
        settings = ServeSettings.model_validate(
            {"tokens": {"issuer": "a", "audience": "b", "keys": tmp_path / "keys.json"}}
        ).tokens
        assert settings is not None
        with pytest.raises(InputError, match=told):
            TokenCheck(settings, "study")


def _consent(folder: Path, name: str, **changed: Any) -> None:  # noqa: ANN401 - parts of a resource
    folder.mkdir(exist_ok=True)
    purposes = [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}]
    told = {
        "resourceType": "Consent",
        "status": "active",
        "patient": {"reference": "Patient/sub-01"},
        "dateTime": "2026-01-01",
        "provision": {"type": "permit", "purpose": purposes},
    }
    (folder / f"{name}.json").write_text(json.dumps(told | changed))


CONSENTS: dict[str, tuple[dict[str, Any], int]] = {
    "permit": ({}, 200),
    "another subject": ({"patient": {"reference": "Patient/sub-02"}}, 403),
    "another purpose": ({"provision": {"type": "permit", "purpose": [{"code": "HRESCH"}]}}, 403),
    "no purpose": ({"provision": {"type": "permit"}}, 403),
    "deny": ({"provision": {"type": "deny", "purpose": [{"code": "TREAT"}]}}, 403),
    "draft": ({"status": "draft"}, 403),
    "over": (
        {"provision": {"type": "permit", "purpose": [{"code": "TREAT"}], "period": {"end": "2026-02-01"}}},
        403,
    ),
    "not yet": (
        {"provision": {"type": "permit", "purpose": [{"code": "TREAT"}], "period": {"start": "2199-02-01"}}},
        403,
    ),
}


@pytest.mark.parametrize("name", CONSENTS)
def test_consents_gate_by_subject_and_purpose(name: str, results: Path, tmp_path: Path) -> None:
    """What nobody permitted is not answered, whoever asks."""
    changed, status = CONSENTS[name]
    _consent(tmp_path / "consents", "one", **changed)
    with running(results, tmp_path / "home", consent="required", consents=tmp_path / "consents") as client:
        answer = client.ask(SPHERE)
        assert answer.status_code == status, answer.text
        assert client.ask(f"{SPHERE}&purpose=research").status_code == (200 if name == "another purpose" else 403)


def test_a_withdrawn_consent_stops_what_it_permitted(
    results: Path, issuer: Issuer, tmp_path: Path, palpate_inside: Inside
) -> None:
    """A token that still holds opens nothing any more, and what was derived is listed."""
    folder = tmp_path / "consents"
    _consent(folder, "version-1", meta={"versionId": "1"})
    settings = {"consent": "required", "consents": folder, "tokens": issuer.settings}
    with running(results, tmp_path / "home", **settings) as client:
        headers = bearer(issuer.token(time.time()))
        assert client.ask(SPHERE, headers=headers).status_code == 200
        _consent(folder, "version-2", meta={"versionId": "2"}, status="inactive")
        assert client.ask(SPHERE, headers=headers).status_code == 403
        for path in ("/api/v1/subjects/01/sessions", "/api/v1/subjects/01/forecasts"):
            assert client.ask(path, headers=headers).status_code == 403
        audit = client.folders.audit
    done = palpate_inside("verify", "consent", results, "--consents", folder, "--audit", audit)
    assert done.code == 0
    assert "sub-01: care no, research no, trial no, training no" in done.printed
    assert "no longer permitted: care" in done.printed
    assert "sub-01/ses-01/mre" in done.printed
    assert "to planner-7 (1)" in done.printed


def test_a_damaged_consent_permits_nothing(results: Path, tmp_path: Path) -> None:
    """A flipped byte in each of 20 places: the file is refused, or its sense stays; it never permits more."""
    folder = tmp_path / "consents"
    _consent(folder, "one", status="inactive")
    content = (folder / "one.json").read_bytes()
    with running(results, tmp_path / "home", consent="required", consents=folder) as client:
        for place in range(0, len(content), len(content) // 20):
            damaged = bytearray(content)
            damaged[place] ^= 1
            (folder / "one.json").write_bytes(bytes(damaged))
            assert client.ask(SPHERE).status_code in (400, 403)


def test_a_purpose_of_the_token_cannot_be_left(client: ServiceClient, issuer: Issuer) -> None:
    """A token for research is none for care."""
    headers = bearer(issuer.token(time.time(), scope="study:study:reader purpose:research"))
    assert client.ask(SPHERE, headers=headers).status_code == 403
    assert client.ask(f"{SPHERE}&purpose=research", headers=headers).status_code == 200
