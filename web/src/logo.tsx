export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" fill="none" stroke-width="6" aria-hidden="true">
      <path d="M16 5a11 11 0 0 1 9.5 16.5" stroke="#5b6ef5" />
      <path d="M23.8 23.8a11 11 0 0 1-17.3-2.3" stroke="#12a594" />
      <path d="M5.4 18.9A11 11 0 0 1 13 5.4" stroke="#b45be0" />
    </svg>
  );
}
