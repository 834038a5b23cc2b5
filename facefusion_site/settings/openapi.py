"""Settings of the API's schema that other parts add to."""

# Choices that several components have, or that share the name of a field, need a name of their own.
SCHEMA_ENUM_NAMES = {
    "AssetStateEnum": "inference.api.serializers.media.STATES",
    "FreezeKindEnum": "accounts.api.freeze_serializers.KINDS",
    "ProductionStateEnum": "productions.api.serializers.PRODUCTION_STATES",
    "ConsentKindEnum": "trust.api.serializers.CONSENT_KINDS",
    "OperationEnum": "trust.api.serializers.CONSENT_USES",
    "ReasonEnum": "tokens.api.serializers.prices.REASONS",
    "TakedownReasonEnum": "trust.api.serializers.TAKEDOWN_REASONS",
}
