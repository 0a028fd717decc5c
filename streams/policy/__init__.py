"""Content policy: deny rules, personal data, masking."""
