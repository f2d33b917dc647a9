interface AskRemovalProps {
  what: string; // 'key', 'file'
  id: string; // of the button that removes
  question: string;
  isBusy: boolean;
  onRemove: () => void;
  onKeep: () => void;
}

/** In place of the buttons of an editor, until it is answered. */
export function AskRemoval({ what, id, question, isBusy, onRemove, onKeep }: AskRemovalProps) {
  return (
    <div class="row" role="group" aria-label={`Remove this ${what}?`}>
      <span>{question}</span>
      <button type="button" class="danger" id={id} disabled={isBusy} onClick={onRemove}>
        Remove
      </button>
      <button type="button" onClick={onKeep}>
        Keep
      </button>
    </div>
  );
}
