"""Every kind of record that a registry keeps: its name, its keys, its values.

=================== ================================ ==================================
name                key                              value
=================== ================================ ==================================
``materialized``    view: ``name:definition_hash``   how far a view was materialized
``stream``          view: ``name:definition_hash``   what rows kept by a stream stand on
``stream_claims``   name of a source                 which worker has which partition
``certificate``     definition hash                  what certification found out
``uncertified``     definition hash                  who applied it without certificate
``served``          service: ``name:definition_hash`` definition that answers were kept of
``skew_audit``      name of a service                counts of its last audit
``ingest``          id of a run of ingest            what it added, knew and took back
=================== ================================ ==================================
"""

from __future__ import annotations

from noskew.registry.records.certificate import Certificate
from noskew.registry.records.ingests import IngestRun
from noskew.registry.records.keys import DefinitionKey
from noskew.registry.records.record import AnyKind, RecordKind
from noskew.registry.records.serving import ServedDefinition, SkewAudit
from noskew.registry.records.streaming import Assignments, StreamGeneration
from noskew.registry.records.views import Exemption, MaterializedUntil

MATERIALIZED = RecordKind("materialized", DefinitionKey, MaterializedUntil)
STREAM = RecordKind("stream", DefinitionKey, StreamGeneration)
ASSIGNMENTS = RecordKind("stream_claims", str, Assignments)
CERTIFICATE = RecordKind("certificate", str, Certificate)
UNCERTIFIED = RecordKind("uncertified", str, Exemption)
SERVED = RecordKind("served", DefinitionKey, ServedDefinition)
SKEW_AUDIT = RecordKind("skew_audit", str, SkewAudit)
INGEST = RecordKind("ingest", str, IngestRun)

KINDS: tuple[AnyKind, ...] = (
    MATERIALIZED,
    STREAM,
    ASSIGNMENTS,
    CERTIFICATE,
    UNCERTIFIED,
    SERVED,
    SKEW_AUDIT,
    INGEST,
)
