"""Every reason for which the judge refuses a request: the ledger's word, and the sentence for the client."""

from __future__ import annotations

from glovebox.errors import RefusedError

REASONS = {
    "line_malformed": "The gateway could not read its own question.",
    "wrong_profile": "This ticket is for the gateway's other port.",
    "not_aws": "Only names of AWS and port 443 are open to this ticket.",
    "unknown_service": "The gateway knows no service of that name.",
    "url_malformed": "The address is not https, a host and a path.",
    "authorization_malformed": "A request carries one Authorization header with a Signature Version 4.",
    "foreign_key": "The request is signed with another key than the scan's.",
    "stale_signature": "The signature is of another day.",
    "credential_in_query": "A credential or signature stands in the query.",
    "body_of_question": "A GET or HEAD has a body.",
    "form_post": "A form is posted where none belongs.",
    "unauthenticated_operation": "This operation would be answered whoever asks.",
    "writing_operation": "Only operations that read are open.",
    "contents_operation": "This operation hands out secrets, logs or records.",
    "unknown_operation": "The gateway does not know this operation.",
    "sts_operation": "Of the token service, only GetCallerIdentity is open.",
    "foreign_bucket": "This bucket is none of the ticket's.",
    "bucket_elsewhere": "Unnamed buckets are open at the S3 host of the gateway's region only.",
    "foreign_account": "This account is not the ticket's.",
    "s3_object": "Buckets may be examined, their objects may not be read.",
    "site_method": "A site's ticket opens tunnels only.",
    "site_name": "A site's ticket names addresses: connect to one of those.",
    "foreign_address": "This address is none of the ticket's.",
    "foreign_port": "This port is none of the ticket's.",
}


class RequestRefusedError(RefusedError):
    """This request may not leave.  `word` is one of `REASONS`."""

    def __init__(self, word: str) -> None:
        super().__init__(REASONS[word])
        self.word = word
