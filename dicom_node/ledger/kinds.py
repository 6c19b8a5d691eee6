"""Every kind of event that the audit trail records, and what it says."""

from typing import Final

KINDS: Final[dict[str, str]] = {
    # the node
    "started": "a process of the node began to work, with its version and its settings' digest",
    "stopped": "a process of the node ended in good order",
    "settings changed": "a process began with other settings: which keys, never which secrets",
    "listening": "the node takes in images",
    "model loaded": "a bundle was opened, with the digest of its weights",
    "model refused": "a bundle was not opened, and why",
    "model activated": "other bundles read from now on: old and new digests, and by whom",
    "model rolled back": "those bundles read again that read before",
    "watermark reached": "less space is left than is kept in reserve: images are refused",
    "watermark left": "there is space again",
    "calibrated": "somebody fitted a line to outcomes; it steers nothing until settings name it",
    # what comes in
    "association accepted": "a sender was let in",
    "association refused": "a sender was turned away, and why",
    "contexts not accepted": "a sender offered what is not taken",
    "association released": "a sender has gone as it should",
    "association aborted": "a sender broke off",
    "association cut off": "the node broke off: what it was sent, or not sent, was beyond bounds",
    "association lost": "a sender was not heard of any more",
    "image received": "an image is kept",
    "duplicate received": "an image came that was here already",
    "image refused": "an image was not taken, with status and reason; A901 is a collision",
    "round opened": "a study begins, or goes on with another round",
    # what is done with it
    "moved": "a case went from one state to another; to REPORTED with what was built",
    "telling": "why nobody could be told how a case ended",
    "read in shadow": "a bundle read a case along, to be compared: nobody is told of it",
    "recalled": "a result was taken back: by whom and why",
    "purged": "what the spool kept of a case was deleted",
    "recomputed": "a result was computed again from its record, and whether it was equal",
    "new device": "images came from a device, or from software of one, that was never read before",
    "scores drift": "a device's exams get other scores than those that the bundle's card knows",
    "scores steady": "they lie near enough again",
    # what goes out
    "delivered": "a destination acknowledged an object",
    "delivered again": "a destination that had an object was sent it again, and has it",
    "committed": "a destination committed itself to keep an object",
    "commitment asked": "a destination was asked to commit itself",
    "commitment not asked": "a destination could not be asked this time",
    "commitment waived": "nobody waits for its commitment any more",
    "commitment failed": "a destination would not commit itself, or never answered",
    "not committed": "a destination does not keep an object: it is sent again",
    "refused": "a destination will not take an object",
    "delayed": "an object could not be delivered this time",
    "waived": "nobody waits for an object any more",
    "owed again": "what was refused is asked for once more",
    "hurried": "what waited for its time waits no longer",
    "destination unreachable": "nobody answers there",
    "destination back": "somebody answers there again",
    "destination forgotten": "no road leads there any more",
    # who looks
    "login": "somebody signed in to the status page",
    "login refused": "somebody could not",
    "logout": "somebody signed out of the status page",
    # the trail itself
    "key made": "a key signs checkpoints for the first time",
    "trail verified": "somebody verified the trail, and what was found",
    "trail exported": "somebody took messages out of the trail",
    "trail purged": "events that were old enough were deleted",
    "trail broken": "the node found its own trail changed",
}
"""What an event may be called; a test holds every writer to it."""
