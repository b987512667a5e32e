"""Personal data and secrets: found by rules and lists (and a model, where one is handed in), replaced by tags or consistent stand-ins."""

from tunesmith.data.anonymise.find import find
from tunesmith.data.anonymise.findings import KINDS, Finding
from tunesmith.data.anonymise.mapping import MapFile
from tunesmith.data.anonymise.stage import Anonymiser, Recogniser, anonymise, masked, scan

__all__ = ["KINDS", "Anonymiser", "Finding", "MapFile", "Recogniser", "anonymise", "find", "masked", "scan"]
