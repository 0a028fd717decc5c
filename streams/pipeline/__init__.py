"""Code that the stages share: the stage contract, request building, authorization, failures, settlement."""
