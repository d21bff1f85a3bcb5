"""Other people's interactive segmenters as processes of their own: evaluated like our networks, without their code in ours."""

from vfm_isrefiner.peers.build import custom_peer, isegm_peer, sam_peer
from vfm_isrefiner.peers.peer import Peer, to_logits
from vfm_isrefiner.peers.process import PeerError, PeerProcess

__all__ = ["Peer", "PeerError", "PeerProcess", "custom_peer", "isegm_peer", "sam_peer", "to_logits"]
