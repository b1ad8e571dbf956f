"""Things made by hand, so that tests know exactly what is in them."""

from collections.abc import Sequence
from decimal import Decimal

from genai.types import Call, Cost, CostStatus, new_id


def pdf_bytes(pages: Sequence[str]) -> bytes:
    """Write a small PDF by hand, so that pages and their text are exactly known."""
    kids = " ".join(f"{3 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
    ]
    font = "<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    for n, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources {font}"
            f" /Contents {4 + 2 * n} 0 R >>",
            f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    return (
        out
        + (
            f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
            f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
        ).encode()
    )


def call(**fields: object) -> Call:
    base: dict[str, object] = {
        "id": new_id(), "kind": "model", "started_at": 1_800_000_000.0, "seconds": 0.5,
        "outcome": "ok", "model": "m", "cost": Decimal("0.000000000001"),
    }  # fmt: skip
    given = {**base, **fields}
    amount = given.pop("cost")
    status = CostStatus.UNPRICED if amount is None else CostStatus.PRICED
    return Call(**given, cost=Cost(amount, status))  # type: ignore[arg-type]
