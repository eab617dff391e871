"""Files as tests look at them: texts of the project, JSON, and pages of PDFs."""

import json

from pypdf import PdfReader

from analysis.provenance import ROOT


def project_text(name):
    """Return the text of a file of the project, by its path from the root."""
    return (ROOT / name).read_text(encoding="utf-8")


def read_json(file):
    """Return what a file of JSON holds."""
    return json.loads(file.read_bytes())


def pages(pdf):
    """Return the text of each page of a PDF, with single spaces."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(pdf).pages]


def pdf_text(pdf):
    """Return the text of a PDF on one line."""
    return " ".join(pages(pdf))
